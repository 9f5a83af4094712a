/** The packets of people without a key are what they are said to be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ipLength } from "../../netns/capture.ts";
import { strangersPackets } from "../../netns/load/strangers.ts";
import { ipPacket } from "../../netns/topology/packets.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../../src/portal/config.ts";
import { decodeInit } from "../../src/wire/handshake.ts";
import { TYPE } from "../../src/wire/preamble.ts";

const COUNT = 2_000;
const CLIENT_ID = Buffer.from("0102030405060708", "hex");
const SAID = Buffer.alloc(100, 0x95);
const TAG_OCTETS = 16;
const seen = ipPacket({ from: "10.100.1.2", to: "10.30.0.1", protocol: DEFAULT_PROTOCOL }, SAID);
const packets = strangersPackets(COUNT, new SeededRandom(1), {
  clientId: CLIENT_ID,
  packets: [seen],
});
const isUdp = (packet: Buffer) => packet.readUInt8(9) === 17;
const messages = packets.map((packet) => packet.subarray(isUdp(packet) ? 28 : 20));

test("every packet has a source of its own, and half of them come by UDP", () => {
  assert.equal(new Set(packets.map((packet) => packet.readUInt32BE(12))).size, COUNT);
  assert.ok(packets.every((packet) => ipLength(packet) === packet.length));
  const udp = packets.filter(isUdp);
  assert.equal(udp.length, COUNT / 2);
  assert.ok(udp.every((packet) => packet.readUInt16BE(22) === DEFAULT_PORT));
  const raw = packets.filter((packet) => packet.readUInt8(9) === DEFAULT_PROTOCOL);
  assert.equal(raw.length, COUNT / 2);
});

test("by raw and by UDP come all types that a Remote Portal reads, and INITs of the client's", () => {
  for (const wanted of [true, false]) {
    const some = messages.filter((_, index) => isUdp(packets[index] as Buffer) === wanted);
    const types = new Set(some.map((message) => message.readUInt8(0) >> 4));
    for (const type of [TYPE.init, TYPE.attach, TYPE.response, TYPE.feedback, TYPE.control]) {
      assert.ok(types.has(type), `${type}`);
    }
    const inits = some
      .map((message) => decodeInit(message.subarray(0, -TAG_OCTETS)))
      .filter((init) => typeof init === "object");
    const ofClient = inits.filter(({ identity }) => CLIENT_ID.equals(identity.subarray(0, 8)));
    assert.ok(ofClient.length > 50 && ofClient.length < inits.length - 50, `${ofClient.length}`);
  }
});

test("what was seen comes again as it was, and altered", () => {
  const again = messages.filter((message) => message.equals(SAID));
  const altered = messages.filter(
    (message) => message.length === SAID.length && message.subarray(0, -1).equals(SAID.subarray(1)),
  );
  assert.ok(again.length > 50, `${again.length}`);
  assert.ok(altered.length > again.length + 50, `${altered.length}`);
});
