/** Octets of HELLO, both ways and every refusal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeControl } from "../../src/wire/control.ts";
import {
  CARRIES_NONE,
  decodeHello,
  encodeHello,
  HELLO_OCTETS,
  type Hello,
} from "../../src/wire/hello.ts";
import { TAG_OCTETS } from "../../src/wire/message.ts";
import { PREAMBLE_OCTETS } from "../../src/wire/preamble.ts";
import { controlMessage } from "./control-message.ts";

/** Octets as they stand in a packet capture behind the preamble. */
const GOLDEN = `
  05 01 03 00  00000102  a1a2a3a4  0203 0000
  00000011 80000001 b1b2b3b4
  00000000 00000000 00000000
  ffffffff ffffffff c1c2c3c4
`.replaceAll(/\s/g, "");

const NOTHING = { highest: 0, bitmap: 0, echo: 0 };
const HELLO: Hello = {
  ...{ transport: 1, carries: 0, ask: true, full: true, number: 0x102, nonce: 0xa1a2a3a4 },
  badTags: 0x203,
  seen: [
    { highest: 0x11, bitmap: 0x80000001, echo: 0xb1b2b3b4 },
    NOTHING,
    { highest: 0xffffffff, bitmap: 0xffffffff, echo: 0xc1c2c3c4 },
  ],
  octets: HELLO_OCTETS,
};

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

test("HELLO encodes to the golden octets", () => {
  assert.equal(hex(encodeHello(HELLO)), GOLDEN);
  assert.equal(GOLDEN.length / 2 + PREAMBLE_OCTETS + TAG_OCTETS, HELLO_OCTETS);
});

test("HELLO decodes the golden octets", () => {
  assert.deepEqual(decodeHello(controlMessage(new Uint8Array(Buffer.from(GOLDEN, "hex")))), HELLO);
});

test("HELLO is padded with zeros to the size that is tried", () => {
  const body = encodeHello({ ...HELLO, octets: 1440 });
  assert.equal(body.length + PREAMBLE_OCTETS + TAG_OCTETS, 1440);
  assert.ok(body.subarray(GOLDEN.length / 2).every((octet) => octet === 0));
  assert.deepEqual(decodeHello(controlMessage(body)), { ...HELLO, octets: 1440 });
});

test("HELLO shorter than its fields is refused", () => {
  const body = encodeHello(HELLO);
  for (let length = 0; length < body.length; length += 1) {
    assert.equal(decodeHello(controlMessage(body.subarray(0, length))), "truncated");
  }
});

test("the session passes HELLO by", () => {
  assert.equal(decodeControl(controlMessage(encodeHello(HELLO))), "unknownControl");
});

test("any HELLO comes back as it was", () => {
  const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const plain = { noNullPrototype: true };
  const seen = fc.record({ highest: uint32, bitmap: uint32, echo: uint32 }, plain);
  const hello = fc.record(
    {
      transport: fc.integer({ min: 0, max: 255 }),
      carries: fc.constantFrom(0, 1, 2, CARRIES_NONE),
      ask: fc.boolean(),
      full: fc.boolean(),
      number: uint32,
      nonce: uint32,
      badTags: fc.integer({ min: 0, max: 0xffff }),
      seen: fc.tuple(seen, seen, seen),
      octets: fc.integer({ min: HELLO_OCTETS, max: 2000 }),
    },
    plain,
  );
  fc.assert(
    fc.property(hello, (one) => {
      assert.deepEqual(decodeHello(controlMessage(encodeHello(one))), one);
    }),
  );
});

test("any octets decode to a HELLO or to a refusal", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      const hello = decodeHello(controlMessage(octets));
      if (octets.length < GOLDEN.length / 2) assert.equal(hello, "truncated");
      else assert.notEqual(hello, "truncated");
    }),
  );
});
