/** The inner MTU of a bond whose links carry unlike packets, in whatever state they are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../src/core/arena.ts";
import type { Link } from "../../src/link/link.ts";
import { roomFor, tightest } from "../../src/portal/mtu.ts";
import { Peer } from "../../src/portal/peer.ts";

type Tag = Link["life"]["tag"];

const link = (tag: Tag, maxInnerOctets: number) =>
  ({ life: { tag, sinceUs: 0 }, maxInnerOctets }) as unknown as Link;

const ALL = Number.POSITIVE_INFINITY;

// biome-ignore format: a table reads in columns
const table: [name: string, links: Link[], mtu: number][] = [
  ["as long as none is attached nothing changes",  [],                                                  1400],
  ["nor while all are down",                       [link("down", 1300), link("connecting", 1200)],      1400],
  ["a link without a limit: the device's",         [link("up", ALL)],                                   1449],
  ["never more than the device's",                 [link("up", 1960)],                                  1449],
  ["the least of several",                         [link("up", ALL), link("up", 1349)],                 1349],
  ["a suspect link counts",                        [link("up", ALL), link("suspect", 1349)],            1349],
  ["a link that is down does not",                 [link("up", ALL), link("down", 1349)],               1449],
  ["nor one that carries no IPv6",                 [link("up", ALL), link("up", 1279)],                 1449],
  ["but one that just does",                       [link("up", ALL), link("up", 1280)],                 1280],
  ["without a better one it does",                 [link("up", 1249), link("down", ALL)],               1249],
  ["the least of those",                           [link("up", 1249), link("up", 1100)],                1100],
  ["and never less than what IPv4 asks for",       [link("up", 300)],                                    576],
];
for (const [name, links, mtu] of table) {
  test(`the inner MTU: ${name}`, () => assert.equal(tightest(1400, 1449, links), mtu));
}

test("a message holds its preamble with order, its tag and the inner packet", () => {
  assert.equal(roomFor(1472, 10), 1449);
});

test("a new session forgets which searches the peer has named, not how long the path's packets may be", () => {
  const identity = { name: "one", mssBytes: 1500, mtu: 1500, dscp: 0, ecn: true } as const;
  const peer = new Peer(
    ...([0, "peer", new Arena(64)] as const),
    () => ({ ...identity, controller: { name: "cubic" } }),
    () => assert.fail("no ladder is needed"),
  );
  const sizes = peer.sizesOf(0);
  sizes.heard({ transport: 0, search: 1, octets: 1480 });
  peer.reset();
  assert.equal(peer.sizesOf(0), sizes);
  assert.equal(sizes.heard({ transport: 0, search: 1, octets: 556 }), 556);
});
