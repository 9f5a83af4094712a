/** Paths whose size is found out while a link is in doubt: what was lost for its old length blames no transport. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, transportNumber } from "../../src/core/transport.ts";
import { Hearing } from "../../src/ladder/hearing.ts";
import { drain, helloOf, ladderOf, switchesOf } from "./lone-ladder.ts";

const STEP_US = 5 * MS;
/** How long a HELLO and its report take together. */
const ROUND_US = 40 * MS;
const NARROW_OCTETS = 1200;
const DOUBT_US = 2 * SECOND;

/** A ladder with raw and TCP open; raw carries up to `NARROW_OCTETS`, TCP cuts what is longer. */
function narrowRaw(resizedUs: number): string[] {
  const ladder = ladderOf("local", ["raw", "tcp"]);
  const hearings = TRANSPORTS.map(() => new Hearing());
  const reports: { atUs: number; report: () => void }[] = [];
  let number = 0;
  for (const transport of ["raw", "tcp"] as const) ladder.open(0, transport);
  ladder.attached(0, "raw");
  ladder.resize(0, NARROW_OCTETS);
  for (let nowUs = 0; nowUs < DOUBT_US + 3 * SECOND; nowUs += STEP_US) {
    for (const { atUs, report } of reports) if (atUs === nowUs) report();
    if (nowUs === DOUBT_US) ladder.resize(nowUs, 1440);
    if (nowUs === DOUBT_US) ladder.silent(nowUs);
    if (nowUs === resizedUs) ladder.resize(nowUs, NARROW_OCTETS);
    for (const { transport, hello } of drain(ladder, nowUs, nowUs)) {
      if (transport === "raw" && hello.octets > NARROW_OCTETS) continue;
      const at = transportNumber(transport);
      hearings[at]?.heard(nowUs, hello.number, hello.nonce);
      const seen = hearings.map((hearing) => hearing.seen);
      number += 1;
      const answer = helloOf({ transport: at, carries: 0, ask: false, number, seen });
      reports.push({
        atUs: nowUs + ROUND_US,
        report: () => ladder.receive(nowUs + ROUND_US, transport, answer),
      });
    }
  }
  return switchesOf(ladder);
}

test("a path that carries small messages only is left", () => {
  assert.deepEqual(narrowRaw(Number.POSITIVE_INFINITY), [
    "null to raw: attached",
    "raw to tcp: large packets lost",
  ]);
});

test("but not for what was lost before its size was known, whenever that became known", () => {
  for (let afterUs = 0; afterUs <= 130 * MS; afterUs += STEP_US) {
    const switches = narrowRaw(DOUBT_US + afterUs);
    assert.deepEqual(switches, ["null to raw: attached"], `${afterUs / MS} ms`);
  }
});
