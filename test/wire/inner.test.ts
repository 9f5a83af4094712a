/** The look at inner packets: flows told apart, CE set with the right checksum, nothing read beyond. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { flowHash, InnerHeader, markCe, PROTOCOL, readInner } from "../../src/wire/inner.ts";
import { headerChecksum, type InnerPacket, innerPacket, slotOf } from "../bond/inner-packets.ts";

function headerOf(packet: InnerPacket): InnerHeader {
  const arena = new Arena(2);
  const header = new InnerHeader();
  readInner(arena, slotOf(arena, packet), header);
  return header;
}

const flow = (packet: InnerPacket) => headerOf(packet).flow;

// biome-ignore format: a table reads in columns
const apart: [name: string, packet: InnerPacket][] = [
  ["another source",           { source: 2 }],
  ["another source port",      { sourcePort: 1001 }],
  ["another destination port", { destinationPort: 2001 }],
  ["another protocol",         { protocol: PROTOCOL.udp }],
  ["a fragment",               { fragment: 0x2000 }],
];
for (const version of [4, 6] as const) {
  for (const [name, packet] of apart) {
    if (version === 6 && packet.fragment !== undefined) continue;
    test(`IPv${version}: ${name} is another flow`, () => {
      assert.notEqual(flow({ version, ...packet }), flow({ version }));
    });
  }
  test(`IPv${version}: length, traffic class and TCP flags do not change the flow`, () => {
    const other = { version, bytes: 300, trafficClass: 0xba, tcpFlags: 2 };
    assert.equal(flow(other), flow({ version }));
  });
}

test("all fragments of a datagram are one flow, whatever stands where ports would", () => {
  const first = flow({ fragment: 0x2000, sourcePort: 1 });
  assert.equal(flow({ fragment: 0x00b9, sourcePort: 2 }), first);
});

test("the hash of a packet's flow is the same by either way of asking", () => {
  const arena = new Arena(2);
  const slot = slotOf(arena, { version: 6 });
  assert.equal(flowHash(arena, slot, 6), flow({ version: 6 }));
});

test("a header is read field by field", () => {
  const { version, trafficClass, protocol } = headerOf({ version: 6, trafficClass: 0xb9 });
  assert.deepEqual([version, trafficClass, protocol], [6, 0xb9, PROTOCOL.tcp]);
  assert.equal(headerOf({ trafficClass: 0xb9 }).trafficClass, 0xb9);
});

test("what is cut short has neither version nor transport header", () => {
  const arena = new Arena(2);
  const slot = slotOf(arena, {});
  const header = new InnerHeader();
  for (const [bytes, version, transport] of [
    [0, 0, false],
    [19, 0, false],
    [20, 4, false],
    [23, 4, false],
    [24, 4, true],
  ] as const) {
    arena.length[slot] = bytes;
    readInner(arena, slot, header);
    assert.deepEqual([header.version, header.transportAt > 0], [version, transport], `${bytes}`);
  }
});

test("CE is set on ECT packets only, and nothing else changes but the IPv4 checksum", () => {
  const packets = fc.record({
    version: fc.constantFrom(4 as const, 6 as const),
    trafficClass: fc.integer({ min: 0, max: 255 }),
    source: fc.integer({ min: 0, max: 255 }),
    bytes: fc.integer({ min: 60, max: 1500 }),
    protocol: fc.integer({ min: 0, max: 255 }),
    fragment: fc.integer({ min: 0, max: 0xffff }),
  });
  fc.assert(
    fc.property(packets, (packet) => {
      const arena = new Arena(2);
      const slot = slotOf(arena, packet);
      const ect = (packet.trafficClass & 3) !== 0;
      assert.equal(markCe(arena, slot), ect);
      const trafficClass = packet.trafficClass | (ect ? 3 : 0);
      const expected = innerPacket({ ...packet, trafficClass });
      assert.deepEqual(arena.read(slot), expected);
      if (packet.version === 4) {
        const view = new DataView(expected.buffer);
        assert.equal(view.getUint16(10), headerChecksum(arena.read(slot)));
      }
    }),
    { numRuns: 2000 },
  );
});

test("what is no IP packet is never marked", () => {
  const arena = new Arena(2);
  const slot = arena.take();
  arena.write(slot, Uint8Array.of(0x25, 2, 0, 20, 0, 0, 0, 0));
  assert.equal(markCe(arena, slot), false);
  assert.deepEqual([...arena.read(slot)].slice(0, 2), [0x25, 2]);
});
