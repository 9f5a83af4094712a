/** What becomes of portals: killed, started again with or without what they kept, stopped for a while. */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "../../portal-files.ts";
import type { Demand } from "../../result.ts";
import { during, type Fault, type Scene } from "./fault.ts";

const BACK: readonly Demand[] = [["outage_ms", "<=", 2_000]];

async function kill({ portals }: Scene, side: Side): Promise<void> {
  await portals.kill(side);
}

function killed(side: Side): Fault {
  return {
    name: `kill-${side}`,
    summary: `the ${side} portal is killed and started again at once`,
    holds: { full: 0, brief: 0 },
    act: async (scene) => {
      await kill(scene, side);
      scene.portals.start(side);
      return undefined;
    },
    demands: BACK,
  };
}

const forgetful: Fault = {
  name: "kill-remote-forgets",
  summary: "the remote portal is killed and started again without what it has kept",
  holds: { full: 0, brief: 0 },
  act: async (scene) => {
    await kill(scene, "remote");
    rmSync(scene.portals.stateOf("remote"), { recursive: true });
    scene.portals.start("remote");
    return undefined;
  },
  demands: [["outage_ms", "<=", 3_000]],
};

/** Its state lies in memory, as `/run` does. */
const reboot: Fault = {
  name: "reboot-remote",
  summary: "the remote portal's machine is away, and comes back without what it has kept",
  holds: { full: 20, brief: 5 },
  act: async (scene) => {
    await kill(scene, "remote");
    rmSync(scene.portals.stateOf("remote"), { recursive: true });
    await sleep(scene.holdMs);
    scene.over();
    scene.portals.start("remote");
    return undefined;
  },
  tail: 15,
  demands: [["back_ms", "<=", 3_500]],
};

function suspended(side: Side): Fault {
  return {
    name: `suspend-${side}`,
    summary: `the ${side} portal is stopped for a while (SIGSTOP)`,
    holds: { full: 60, brief: 5 },
    act: during(
      async ({ portals }) => process.kill(portals.pid(side), "SIGSTOP"),
      async ({ portals }) => process.kill(portals.pid(side), "SIGCONT"),
    ),
    tail: 15,
    demands: [["back_ms", "<=", 1_000]],
  };
}

export const PORTAL_FAULTS: readonly Fault[] = [
  killed("remote"),
  killed("local"),
  forgetful,
  reboot,
  suspended("remote"),
  suspended("local"),
];
