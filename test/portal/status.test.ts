/** A portal's numbers in the form that the control socket hands out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../src/core/arena.ts";
import { Peer } from "../../src/portal/peer.ts";
import { peerStatus } from "../../src/portal/status.ts";

test("links are told in the order of their numbers, whichever was attached first", () => {
  const peer = new Peer(
    ...([0, "home", new Arena(64)] as const),
    (number) => ({
      ...{ name: `link ${number}`, mssBytes: 1500, mtu: 1500, dscp: 0, ecn: true },
      controller: { name: "cubic" },
    }),
    () => assert.fail("no ladder is needed"),
  );
  for (const number of [2, 0, 1]) peer.link(number).attach(0);
  const { links } = peerStatus(0, 0, peer, () => ({ device: null, remote: null }));
  assert.deepEqual(
    links.map(({ name }) => name),
    ["link 0", "link 1", "link 2"],
  );
});
