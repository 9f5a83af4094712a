/** Octets of LINK_STATE, both ways and every refusal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeLinkState, encodeLinkState, type LinkState } from "../../src/wire/link-state.ts";
import { controlMessage } from "./control-message.ts";

const octetsOf = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));

// biome-ignore format: a table reads in columns
const golden: [octets: string, news: LinkState][] = [
  ["0a 00 00 00 00000001", { link: 0,  state: "unusable", number: 1 }],
  ["0a 0f 01 00 fffffffe", { link: 15, state: "restored", number: 0xfffffffe }],
];

for (const [octets, news] of golden) {
  test(`LINK_STATE of ${JSON.stringify(news)} has the golden octets`, () => {
    assert.deepEqual(encodeLinkState(news), octetsOf(octets));
    assert.deepEqual(decodeLinkState(controlMessage(octetsOf(octets))), news);
    assert.deepEqual(decodeLinkState(controlMessage(octetsOf(`${octets} a5a5`))), news, "and more");
  });
}

// biome-ignore format: a table reads in columns
const refused: [name: string, octets: string, why: string][] = [
  ["nothing",            "",                     "truncated"],
  ["one octet short",    "0a 00 00 00 000000",   "truncated"],
  ["a link number of 16", "0a 10 00 00 00000001", "unknownControl"],
  ["a state of 2",       "0a 00 02 00 00000001", "unknownControl"],
  ["another subtype",    "0b 00 00 00 00000001", "unknownControl"],
];

for (const [name, octets, why] of refused) {
  test(`LINK_STATE refuses ${name}`, () =>
    assert.equal(decodeLinkState(controlMessage(octetsOf(octets))), why));
}

test("LINK_STATE survives any octets", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 32 }), (body) => {
      const news = decodeLinkState(controlMessage(body));
      if (typeof news === "string") return;
      assert.deepEqual(decodeLinkState(controlMessage(encodeLinkState(news))), news);
    }),
  );
});
