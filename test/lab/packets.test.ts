/** Forged packets of the lab, octet by octet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checksum, icmpError, ipPacket } from "../../netns/topology/packets.ts";

const payload = Buffer.from("0102030405060708", "hex");

test("the checksum is that of the example in RFC 1071 section 3", () => {
  assert.equal(checksum(Buffer.from("0001f203f4f5f6f7", "hex")), ~0xddf2 & 0xffff);
});

test("an IPv4 packet has its length, protocol, addresses, and a header that sums to nothing", () => {
  const packet = ipPacket({ from: "192.0.2.1", to: "10.30.0.1", protocol: 253 }, payload);
  assert.equal(packet.length, 28);
  assert.equal(packet.readUInt16BE(2), 28);
  assert.equal(packet.readUInt8(9), 253);
  assert.equal(packet.subarray(12, 20).toString("hex"), "c00002010a1e0001");
  assert.equal(checksum(packet.subarray(0, 20)), 0);
});

test("an IPv6 packet has its length, next header and addresses", () => {
  const packet = ipPacket({ from: "2001:db8::1", to: "fd10:30::1", protocol: 253 }, payload);
  assert.equal(packet.readUInt16BE(4), payload.length);
  assert.equal(packet.readUInt8(6), 253);
  assert.equal(packet.subarray(8, 10).toString("hex"), "2001");
  assert.equal(packet.readUInt8(39), 1);
});

test("an ICMP error goes to the sender of what it quotes, and names the MTU", () => {
  const sent = ipPacket({ from: "10.100.1.2", to: "10.30.0.1", protocol: 253 }, payload);
  const error = icmpError({ tag: "too big", mtu: 600 }, "10.200.1.9", sent);
  assert.equal(error.subarray(16, 20).toString("hex"), "0a640102");
  assert.deepEqual([...error.subarray(20, 22)], [3, 4]);
  assert.equal(error.readUInt16BE(26), 600);
  assert.deepEqual(error.subarray(28), sent);
  assert.equal(checksum(error.subarray(20)), 0);
});

test("an ICMPv6 error says what is not understood, under a checksum with its addresses", () => {
  const sent = ipPacket({ from: "fd10:100:1::2", to: "fd10:30::1", protocol: 253 }, payload);
  const error = icmpError({ tag: "protocol unreachable" }, "fd10:200:1::9", sent);
  assert.deepEqual([...error.subarray(40, 42)], [4, 1]);
  assert.equal(error.readUInt32BE(44), 6);
  const message = error.subarray(40);
  const pseudo = Buffer.concat([
    error.subarray(8, 40),
    Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58]),
  ]);
  assert.equal(checksum(Buffer.concat([pseudo, message])), 0);
});
