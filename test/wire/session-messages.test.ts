/** Octets of the handshake, attach, control and reset messages, both ways and every refusal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PATH_OCTETS } from "../../src/core/arena.ts";
import { PATH_AT } from "../../src/core/path.ts";
import { SUITE as NATIVE_SUITE } from "../../src/native/native.ts";
import {
  decodeAttach,
  decodeChallenge,
  decodeResponse,
  encodeAttach,
  encodeChallenge,
  encodeResponse,
  observedFrom,
} from "../../src/wire/attach.ts";
import { type Control, decodeControl, encodeControl } from "../../src/wire/control.ts";
import {
  decodeInit,
  decodeResp,
  decodeRetry,
  encodeInit,
  encodeResp,
  encodeRetry,
  INIT_OCTETS,
  initIdentity,
  RESP_OCTETS,
} from "../../src/wire/handshake.ts";
import { createMessage, TAG_OCTETS } from "../../src/wire/message.ts";
import {
  decodeChoice,
  decodeOffer,
  encodeChoice,
  encodeOffer,
  type InnerAddress,
  SUITE,
} from "../../src/wire/offer.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { encodeReset } from "../../src/wire/reset.ts";

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
const plain = (digits: string) => digits.replaceAll(" ", "");
const octets = (digits: string) => new Uint8Array(Buffer.from(plain(digits), "hex"));

const NONCE = octets("a1a2a3a4a5a6a7a8");
const ECHO = octets("b1b2b3b4b5b6b7b8");
const ADDRESS = octets("0000 0000 0000 0000 0000 ffff c000 0201");
const ATTACH = `40222222 00000007 01 333333 01 000000 ${hex(NONCE)} ${"00".repeat(24)}`;
const CHALLENGE = `50333333 00000009 ${hex(ECHO)} ${hex(NONCE)} 02 444444 9c40 ${hex(ADDRESS)} 0000`;
const RESPONSE = `60444444 0000000a ${hex(ECHO)}`;
const attach = { link: 1, id: 0x333333, transport: 1, nonce: NONCE };
const challenge = {
  echo: ECHO,
  nonce: NONCE,
  link: 2,
  id: 0x444444,
  port: 40000,
  address: ADDRESS,
};

const golden: [name: string, made: Uint8Array, expected: string][] = [
  ["ATTACH", encodeAttach(0x222222, 7, attach), ATTACH],
  ["CHALLENGE", encodeChallenge(0x333333, 9, challenge), CHALLENGE],
  ["RESPONSE", encodeResponse(0x444444, 10, ECHO), RESPONSE],
  ["RETRY", encodeRetry(0x111111, octets("c0".repeat(16))), `30111111 00000000 ${"c0".repeat(16)}`],
  [
    "RESET",
    encodeReset(0x444444, 0xdeadbeef, octets("0d".repeat(16))),
    `a0444444 deadbeef ${"0d".repeat(16)}`,
  ],
  ["CONTROL close", encodeControl({ tag: "close", reason: 0 }), "0100"],
  ["CONTROL rekey", encodeControl({ tag: "rekey" }), "02"],
  ["CONTROL attached", encodeControl({ tag: "attached" }), "03"],
  ["CONTROL ping", encodeControl({ tag: "ping" }), "04"],
];

for (const [name, made, expected] of golden) {
  test(`${name} encodes the golden octets`, () => assert.equal(hex(made), plain(expected)));
}

test("ATTACH, CHALLENGE and RESPONSE decode the golden octets", () => {
  assert.deepEqual(decodeAttach(octets(ATTACH)), attach);
  assert.deepEqual(decodeChallenge(octets(CHALLENGE)), challenge);
  assert.deepEqual(decodeResponse(octets(RESPONSE)), ECHO);
});

test("only the low 32 bits of a sequence number go on the wire", () => {
  const message = createMessage({ type: TYPE.attach, linkId: 1, seq: 2 ** 40 + 5 }, 8);
  assert.equal(hex(message), "4000000100000005");
});

test("INIT and RESP keep their fields, and RESP is as long as INIT", () => {
  const identity = initIdentity(octets("6d70667764000001"));
  assert.equal(hex(identity), "6d7066776400000101000000");
  const noise = new Uint8Array(108).fill(0x11);
  const cookie = new Uint8Array(16).fill(0x22);
  const init = encodeInit({ replyId: 0x123456, identity, noise, cookie });
  assert.equal(hex(init.subarray(0, 20)), plain("10123456 00000000 6d70667764000001 01000000"));
  assert.deepEqual(decodeInit(init), { replyId: 0x123456, identity, noise, cookie });
  const answer = new Uint8Array(136).fill(0x33);
  assert.deepEqual(decodeResp(encodeResp(0x123456, answer)), answer);
  assert.equal(RESP_OCTETS, INIT_OCTETS);
  assert.equal(INIT_OCTETS + TAG_OCTETS, 160);
});

test("an INIT of another version is refused as such", () => {
  const identity = initIdentity(new Uint8Array(8));
  identity[8] = 2;
  const fields = { replyId: 1, noise: new Uint8Array(108), cookie: new Uint8Array(16) };
  assert.equal(decodeInit(encodeInit({ ...fields, identity })), "badVersion");
});

const decoders = {
  decodeInit,
  decodeResp,
  decodeRetry,
  decodeAttach,
  decodeChallenge,
  decodeResponse,
};
const lengths = [INIT_OCTETS, RESP_OCTETS, 24, 48, 48, 16];
Object.entries(decoders).forEach(([name, decode], index) => {
  test(`${name} refuses every length but its own`, () => {
    const own = lengths[index] ?? assert.fail();
    for (let length = 8; length < 200; length += 1) {
      if (length === own) continue;
      assert.equal(decode(new Uint8Array(length)), "truncated");
    }
  });
});

test("CONTROL bodies are read back, longer ones by their known part, unknown ones not", () => {
  const bodies: Control[] = [
    { tag: "close", reason: 3 },
    { tag: "rekey" },
    { tag: "attached" },
    { tag: "ping" },
  ];
  for (const body of bodies) {
    const message = Buffer.concat([new Uint8Array(8), encodeControl(body)]);
    assert.deepEqual(decodeControl(message), body);
    assert.deepEqual(decodeControl(Buffer.concat([message, new Uint8Array(9)])), body);
  }
  assert.equal(decodeControl(new Uint8Array(8)), "truncated");
  assert.equal(decodeControl(octets("8000000000000000 01")), "truncated", "close has a reason");
  for (const subtype of [0, 5, 255]) {
    const message = Buffer.concat([new Uint8Array(8), Uint8Array.of(subtype)]);
    assert.equal(decodeControl(message), "unknownControl");
  }
});

/** Objects as our own code makes them. */
const PLAIN = { noNullPrototype: true } as const;
const anyOctets = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });
const anyAddress = fc.oneof(
  fc.record({ family: fc.constant(4 as const), address: anyOctets(4), bits: fc.nat(32) }, PLAIN),
  fc.record({ family: fc.constant(6 as const), address: anyOctets(16), bits: fc.nat(128) }, PLAIN),
);

test("an offer and a choice survive the wire", () => {
  const octet = fc.nat(255);
  const offer = fc.record(
    {
      suite: octet,
      dataTag: octet,
      transports: octet,
      links: octet,
      purpose: octet,
      bond: anyOctets(8),
    },
    PLAIN,
  );
  fc.assert(
    fc.property(offer, (fields) => assert.deepEqual(decodeOffer(encodeOffer(fields)), fields)),
  );
  const choice = fc.record(
    {
      result: octet,
      continued: fc.boolean(),
      suite: octet,
      dataTag: octet,
      transports: octet,
      attachId: fc.nat(0xff_ffff),
      addresses: fc.array(anyAddress, { maxLength: 4 }),
    },
    PLAIN,
  );
  fc.assert(
    fc.property(choice, (fields) => assert.deepEqual(decodeChoice(encodeChoice(fields)), fields)),
  );
});

test("a choice carries the first four addresses and leaves unknown families out", () => {
  const inner = (last: number): InnerAddress => {
    return { family: 4, address: Uint8Array.of(10, 0, 0, last), bits: 32 };
  };
  const addresses = [1, 2, 3, 4, 5].map(inner);
  const fields = { result: 0, continued: false, suite: 0, dataTag: 10, transports: 3, attachId: 1 };
  const sent = encodeChoice({ ...fields, addresses });
  assert.deepEqual(decodeChoice(sent).addresses, addresses.slice(0, 4));
  sent[16] = 9;
  assert.deepEqual(decodeChoice(sent).addresses, addresses.slice(1, 4));
  assert.equal(decodeChoice(sent.fill(255, 5, 6)).addresses.length, 3, "a count beyond the room");
});

test("an observed address is IPv6, or IPv4 in its mapped form", () => {
  const path = new Uint8Array(PATH_OCTETS);
  path[PATH_AT.family] = 4;
  path.set([0x9c, 0x40], PATH_AT.port);
  path.set([192, 0, 2, 1], PATH_AT.remote);
  assert.deepEqual(observedFrom(path), { port: 40000, address: ADDRESS });
  path[PATH_AT.family] = 6;
  path.fill(0x20, PATH_AT.remote, PATH_AT.local);
  path.fill(0x99, PATH_AT.local);
  assert.deepEqual(observedFrom(path).address, new Uint8Array(16).fill(0x20));
});

test("the suites have the addon's numbers", () => assert.deepEqual(SUITE, { ...NATIVE_SUITE }));
