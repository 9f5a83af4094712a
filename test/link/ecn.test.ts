/** ECN on outer packets: which paths keep it, which lose it, and what is believed of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type EcnState, EcnValidation } from "../../src/link/ecn.ts";

/** `[acked, ect, ce]` of one feedback message, or everything lost, or another path. */
type Event = readonly [acked: number, ect: number, ce: number] | "lost" | "path";

/** Sends what is acknowledged, nothing else; returns the CE marks that were believed. */
function play(ecn: EcnValidation, events: readonly Event[], inFlight = 0): number {
  let largest = -1;
  let believed = 0;
  for (const event of events) {
    if (event === "lost") ecn.onAllLost();
    else if (event === "path") ecn.reset(largest + 1 + inFlight);
    else {
      const [ackedPackets, ectCount, ceCount] = event;
      largest += ackedPackets;
      const nextSeq = largest + 1 + inFlight;
      const report = { largestAcked: largest, nextSeq, ackedPackets, ectCount, ceCount };
      believed += ecn.onAck(report);
    }
  }
  return believed;
}

const PASSED: Event = [10, 10, 0];
const times = (count: number, event: Event): Event[] => new Array<Event>(count).fill(event);

// biome-ignore format: a table reads in columns
const paths: [name: string, events: Event[], state: EcnState, ect: boolean, believed: number][] = [
  ["nothing known yet",                      [],                                          "testing", true,  0],
  ["fewer than ten packets back",            [[9, 9, 0]],                                 "testing", true,  0],
  ["marks come back",                        [[5, 5, 0], [5, 5, 0]],                      "capable", true,  0],
  ["some of the first are CE",               [[10, 7, 3]],                                "capable", true,  0],
  ["a path that bleaches",                   [[4, 0, 0], [6, 0, 0]],                      "failed",  false, 0],
  ["a path that marks everything",           [[10, 0, 10]],                               "failed",  false, 0],
  ["a path that drops ECT",                  ["lost"],                                    "failed",  false, 0],
  ["marks of a capable path",                [PASSED, [20, 15, 5], [10, 9, 1]],           "capable", true,  6],
  ["all CE later: congestion",               [PASSED, [200, 0, 200]],                     "capable", true,  200],
  ["bleaching that begins later",            [PASSED, ...times(13, [10, 0, 0])],          "failed",  false, 0],
  ["a report that another overtook",         [PASSED, [1, 0xfff0, 0xfffe], [10, 10, 0]],  "capable", true,  0],
  ["an outage of a capable path",            [PASSED, "lost"],                            "pausing", false, 0],
  ["an outage after the first marks",        [[3, 3, 0], "lost"],                         "pausing", false, 0],
  ["packets pass after an outage",           [PASSED, "lost", [511, 0, 0]],               "pausing", false, 0],
  ["enough packets pass: tested again",      [PASSED, "lost", [512, 0, 0]],               "testing", true,  0],
  ["capable again after an outage",          [PASSED, "lost", [512, 0, 0], PASSED],       "capable", true,  0],
  ["ECT dropped when tested again",          [PASSED, "lost", [512, 0, 0], "lost"],       "failed",  false, 0],
  ["lost while pausing",                     [PASSED, "lost", "lost"],                    "pausing", false, 0],
  ["failed, whatever comes",                 [[10, 0, 0], [500, 500, 5]],                 "failed",  false, 0],
  ["failed, and another path",               [[10, 0, 0], "path"],                        "testing", true,  0],
  ["failed, and another path that keeps it", ["lost", "path", PASSED],                    "capable", true,  0],
];
for (const [name, events, state, ect, believed] of paths) {
  test(`ECN: ${name}: ${state}`, () => {
    const ecn = new EcnValidation();
    assert.equal(play(ecn, events), believed);
    assert.deepEqual([ecn.state, ecn.ect], [state, ect]);
  });
}

test("ECN: packets that were under way without ECT when a test began do not fail it", () => {
  const ecn = new EcnValidation();
  play(ecn, ["lost", [100, 0, 0], "path", ...times(40, [10, 0, 0])], 400);
  assert.equal(ecn.state, "testing");
  const late = new EcnValidation();
  play(late, ["lost", [100, 0, 0], "path", ...times(40, [10, 0, 0]), PASSED], 400);
  assert.equal(late.state, "capable");
});

test("ECN: a few late packets without ECT do not fail a test", () => {
  const ecn = new EcnValidation();
  play(ecn, [
    [3, 0, 0],
    [9, 9, 0],
  ]);
  assert.equal(ecn.state, "capable");
});
