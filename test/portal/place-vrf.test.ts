/** A link bound to a VRF, of which the kernel names another device: with a kernel of the test's own, for few have VRFs. */
import assert from "node:assert/strict";
import { endianness } from "node:os";
import { test } from "node:test";
import { type Kernel, placeOf } from "../../src/portal/place.ts";

const VRF = { index: 7, name: "vrf0", up: true, running: true };
const MEMBER = 9;
const UNICAST = 1;
const LOCAL = 2;
/** nlmsghdr(3), rtmsg and RTA_OIF, RTA_GATEWAY of rtnetlink(7). */
const RTM_NEWROUTE = 24;
const ATTRIBUTES_AT = 28;
const RTA = { device: 4, gateway: 5 };

function answer(type: number, device: number): Uint8Array {
  const octets = new Uint8Array(ATTRIBUTES_AT + 16);
  const view = new DataView(octets.buffer);
  const little = endianness() === "LE";
  view.setUint32(0, octets.length, little);
  view.setUint16(4, RTM_NEWROUTE, little);
  view.setUint8(23, type);
  view.setUint16(ATTRIBUTES_AT, 8, little);
  view.setUint16(ATTRIBUTES_AT + 2, RTA.device, little);
  view.setUint32(ATTRIBUTES_AT + 4, device, little);
  view.setUint16(ATTRIBUTES_AT + 8, 8, little);
  view.setUint16(ATTRIBUTES_AT + 10, RTA.gateway, little);
  octets.set([192, 0, 2, 1], ATTRIBUTES_AT + 12);
  return octets;
}

function place(type: number, device: number) {
  const kernel: Kernel = { device: () => VRF, askRoute: () => answer(type, device) };
  return placeOf(kernel, { device: VRF.name, source: undefined, remote: "203.0.113.7" }, "mpfwd0");
}

test("a link bound to a VRF leaves by the member that the kernel names", () => {
  assert.deepEqual(place(UNICAST, MEMBER), {
    ...{ tag: "usable", device: MEMBER, via: "192.0.2.1", source: null },
  });
});

test("a link whose remote is this machine itself has no route by a device", () => {
  const { tag } = place(LOCAL, 1);
  assert.equal(tag, "unusable");
});
