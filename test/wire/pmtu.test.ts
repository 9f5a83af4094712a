/** Octets of the path MTU probe and its answer, both ways and every refusal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeControl } from "../../src/wire/control.ts";
import { TAG_OCTETS } from "../../src/wire/message.ts";
import {
  decodePmtuAnswer,
  decodePmtuProbe,
  encodePmtuAnswer,
  encodePmtuProbe,
  PMTU_PROBE_OCTETS,
} from "../../src/wire/pmtu.ts";
import { PREAMBLE_OCTETS } from "../../src/wire/preamble.ts";
import { controlMessage } from "./control-message.ts";

const PROBE = { transport: 1, search: 0xa1a2a3a4, octets: PMTU_PROBE_OCTETS };
const ANSWER = { transport: 1, link: 15, search: 0xa1a2a3a4, octets: 1472 };

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

test("probe and answer encode to the golden octets, and back", () => {
  assert.equal(hex(encodePmtuProbe(PROBE)), "0b010000a1a2a3a4");
  assert.equal(hex(encodePmtuAnswer(ANSWER)), "0c010f00a1a2a3a405c00000");
  assert.deepEqual(decodePmtuProbe(controlMessage(encodePmtuProbe(PROBE))), PROBE);
  assert.deepEqual(decodePmtuAnswer(controlMessage(encodePmtuAnswer(ANSWER))), ANSWER);
});

test("a probe is padded with zeros to the size under test, and its size is what arrived", () => {
  const body = encodePmtuProbe({ ...PROBE, octets: 1472 });
  assert.equal(body.length + PREAMBLE_OCTETS + TAG_OCTETS, 1472);
  assert.ok(body.subarray(8).every((octet) => octet === 0));
  assert.deepEqual(decodePmtuProbe(controlMessage(body)), { ...PROBE, octets: 1472 });
});

test("what is cut short is refused, what is longer is not", () => {
  const [probe, answer] = [
    controlMessage(encodePmtuProbe(PROBE)),
    controlMessage(encodePmtuAnswer(ANSWER)),
  ];
  assert.equal(decodePmtuProbe(probe.subarray(0, probe.length - 1)), "truncated");
  assert.equal(decodePmtuAnswer(answer.subarray(0, answer.length - 1)), "truncated");
  assert.deepEqual(decodePmtuAnswer(Uint8Array.of(...answer, 1, 2, 3)), ANSWER);
});

test("any octets decode to fields or to a refusal, and the session takes none of them for its own", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (body) => {
      const message = controlMessage(body);
      const probe = decodePmtuProbe(message);
      if (probe !== "truncated") assert.equal(probe.octets, message.length + TAG_OCTETS);
      decodePmtuAnswer(message);
    }),
  );
  assert.equal(decodeControl(controlMessage(encodePmtuProbe(PROBE))), "unknownControl");
  assert.equal(decodeControl(controlMessage(encodePmtuAnswer(ANSWER))), "unknownControl");
});
