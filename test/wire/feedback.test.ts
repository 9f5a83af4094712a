/** FEEDBACK: golden octets, everything encoded is decoded, everything cut or lengthened is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import {
  decodeFeedback,
  encodeFeedback,
  FEEDBACK_RANGES_MAX,
  type Feedback,
  newFeedback,
} from "../../src/wire/feedback.ts";

function dirtySlot(): { arena: Arena; slot: number } {
  const arena = new Arena(2);
  const slot = arena.take();
  arena.octets.fill(0xa5);
  return { arena, slot };
}

const example: Feedback = {
  ...newFeedback(),
  ...{ link: 3, ackDelayUs: 800, largest: 1000, receivedUs: 2 ** 32 + 5, bytes: 65536 },
  ...{ firstUs: 1600, ceCount: 1, ectCount: 2, floor: 0x123456, rangeCount: 2 },
  ...{ holdUs: 24_000, repairUs: 40_000 },
  rangeFrom: Float64Array.of(0, 70),
  rangeTo: Float64Array.of(9, 170),
};
const GOLDEN = "03 02 0064 000003e8 00000005 00010000 00c8 0001 0002 00123456 0bb8 1388 09 3b 4064";

test("FEEDBACK stands on the wire as in the specification", () => {
  const { arena, slot } = dirtySlot();
  encodeFeedback(arena, slot, example);
  assert.equal(Buffer.from(arena.read(slot)).toString("hex"), GOLDEN.replaceAll(" ", ""));
});

const u = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const ranges = fc.array(fc.tuple(u(16), u(16)), { minLength: 1, maxLength: FEEDBACK_RANGES_MAX });

test("what is encoded is decoded, delays to 8 us", () => {
  const fields = fc.tuple(u(8), u(19), u(32), u(32), u(32), u(16), u(24), ranges);
  fc.assert(
    fc.property(fields, ([link, delay, largest, receivedUs, bytes, ecn, floor, gaps]) => {
      const { arena, slot } = dirtySlot();
      const sent: Feedback = {
        ...newFeedback(),
        ...{ link, ackDelayUs: delay, largest, receivedUs, bytes, floor },
        ...{ holdUs: 8 * ecn, repairUs: 8 * (ecn ^ 0xff) },
        ...{ firstUs: delay, ceCount: ecn, ectCount: ecn, rangeCount: gaps.length },
      };
      let at = -2;
      for (const [index, [gap, length]] of gaps.entries()) {
        sent.rangeFrom[index] = index === 0 ? 0 : at + gap + 2;
        at = (sent.rangeFrom[index] as number) + length;
        sent.rangeTo[index] = at;
      }
      encodeFeedback(arena, slot, sent);
      const heard = newFeedback();
      assert.ok(decodeFeedback(arena, slot, 0, heard));
      assert.ok(Math.abs(heard.ackDelayUs - Math.min(delay, 8 * 0xffff)) <= 8);
      const { ackDelayUs: _a, firstUs: _b, ...rest } = heard;
      const { ackDelayUs: _c, firstUs: _d, ...expected } = sent;
      assert.deepEqual(rest, expected);
    }),
  );
});

test("every cut and every extra octet is refused", () => {
  const { arena, slot } = dirtySlot();
  encodeFeedback(arena, slot, example);
  const whole = arena.length[slot] as number;
  for (let length = 0; length < whole; length += 1) {
    arena.length[slot] = length;
    assert.equal(decodeFeedback(arena, slot, 0, newFeedback()), false, `${length} octets`);
  }
  arena.length[slot] = whole + 1;
  assert.equal(decodeFeedback(arena, slot, 0, newFeedback()), false);
});

test("random octets never make the decoder read past the packet or throw", () => {
  const random = new SeededRandom(1);
  for (let run = 0; run < 20_000; run += 1) {
    const { arena, slot } = fuzzed;
    arena.write(slot, random.octets(random.uint32() % 80));
    const heard = newFeedback();
    if (!decodeFeedback(arena, slot, 0, heard)) continue;
    assert.ok(heard.rangeCount >= 1 && heard.rangeCount <= FEEDBACK_RANGES_MAX);
  }
});
const fuzzed = { arena: new Arena(2), slot: 0 };
