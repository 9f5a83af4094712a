/** How many octets a tunnel adds to a packet, and which inner MTU follows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { innerMtu } from "../../src/portal/mtu.ts";
import { addedOctets } from "../../src/wire/overhead.ts";

// biome-ignore format: a table reads in columns
const table: ["raw" | "udp", 4 | 6, single: number, bonded: number][] = [
  ["raw", 4, 38, 43],
  ["raw", 6, 58, 63],
  ["udp", 4, 46, 51],
  ["udp", 6, 66, 71],
];

for (const [transport, family, single, bonded] of table) {
  test(`${transport} over IPv${family} adds ${single} octets, ${bonded} with several links`, () => {
    assert.equal(addedOctets({ transport, family, tagOctets: 10 }, false), single);
    assert.equal(addedOctets({ transport, family, tagOctets: 10 }, true), bonded);
    assert.equal(addedOctets({ transport, family, tagOctets: 16 }, true), bonded + 6);
  });
}

test("the inner MTU fits the smallest link in its costliest form", () => {
  const transports = ["raw", "udp", "tcp"] as const;
  assert.equal(innerMtu([{ mtu: 1500, family: 4, transports }], 10), 1449);
  assert.equal(innerMtu([{ mtu: 1500, family: 4, transports: ["raw"] }], 10), 1457);
  assert.equal(
    innerMtu(
      [
        { mtu: 1500, family: 4, transports },
        { mtu: 1400, family: 6, transports },
      ],
      10,
    ),
    1329,
  );
});
