/** What a run of a profile is asked depends on what it loads: the queue counts above 10 Mbit/s. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { briefContext } from "../../netns/experiment.ts";
import { profiles } from "../../netns/experiments/profiles.ts";
import type { FlowDirection } from "../../netns/load/iperf.ts";

function asked(name: string, directions: readonly FlowDirection[] | null): boolean {
  const profile = profiles.find((one) => one.name === `profiles/${name}`);
  assert.ok(profile?.demandsOf !== undefined, name);
  const demands = profile.demandsOf({ ...briefContext("raw"), brief: false, directions });
  return demands.some(([figure]) => figure === "queue_ms_p95");
}

test("the queue is judged where a link has more than 10 Mbit/s in a direction that is loaded", () => {
  for (const { name } of profiles) {
    const own = name.replace("profiles/", "");
    assert.equal(asked(own, null), own !== "slow", name);
  }
  assert.equal(asked("asymmetric", ["down"]), true);
  assert.equal(asked("asymmetric", ["up"]), false);
});
