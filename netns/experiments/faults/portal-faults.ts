/**
 * What becomes of portals: killed, started again with or without what they kept, stopped for a while,
 * told another time, given other keys.
 */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ClockShift } from "../../load/clock-shift.ts";
import type { Side } from "../../portal-files.ts";
import type { Portals } from "../../portals.ts";
import { during, type Fault } from "./fault.ts";
import { loggedAfter } from "./log-times.ts";

/**
 * A round trip of 20 ms, and the 50 ms after which the client asks next; and 80 ms for two processes that share a
 * processor with others.
 */
const RESET_MS = 150;

/** Seconds: an inner flow that was away for three tries again after six at the latest. */
const RESTART_TAIL = 7;

const local: Fault = {
  name: "kill-local",
  summary: "the local portal is killed and started again at once",
  holds: { full: 0, brief: 0 },
  act: async ({ portals }) => {
    await portals.kill("local");
    portals.start("local");
    return undefined;
  },
  tail: RESTART_TAIL,
  demands: [["outage_ms", "<=", 2_000]],
};

const remote: Fault = {
  ...local,
  name: "kill-remote",
  summary: "the remote portal is killed and started again at once",
  act: async ({ portals, over }) => {
    await portals.kill("remote");
    const sinceMs = Date.now();
    portals.start("remote");
    over();
    const upMs = await loggedAfter(portals, "remote", /is up, role remote/, sinceMs);
    const toldMs = await loggedAfter(portals, "local", /Remote Portal lost: reset/, sinceMs);
    return { started_ms: upMs, reset_ms: toldMs - upMs };
  },
  demands: [...local.demands, ["reset_ms", "<=", RESET_MS]],
};

/** Its state lies in memory, as `/run` does. */
async function killForGood(portals: Portals): Promise<void> {
  await portals.kill("remote");
  rmSync(portals.stateOf("remote"), { recursive: true });
}

const forgetful: Fault = {
  name: "kill-remote-forgets",
  summary: "the remote portal is killed and started again without what it has kept",
  holds: { full: 0, brief: 0 },
  act: async ({ portals }) => {
    await killForGood(portals);
    portals.start("remote");
    return undefined;
  },
  tail: RESTART_TAIL,
  demands: [["outage_ms", "<=", 3_000]],
};

const reboot: Fault = {
  name: "reboot-remote",
  summary: "the remote portal's machine is away, and comes back without what it has kept",
  holds: { full: 20, brief: 5 },
  act: during(
    ({ portals }) => killForGood(portals),
    async ({ portals }) => portals.start("remote"),
  ),
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

const YEAR_SECONDS = 365 * 86_400;

/** Both portals' at once, first forward and then back beyond where it was. */
function clock(): Fault {
  let shift: ClockShift | undefined;
  return {
    name: "clock",
    summary: "the wall clock of both portals goes forward by a year, then back by two",
    portals: async (lab) => {
      shift = await ClockShift.build(lab.stateDirectory);
      return { env: shift.env, peer: ["rekey_seconds = 5"] };
    },
    holds: { full: 12, brief: 6 },
    act: async ({ holdMs, portals }) => {
      shift?.move(YEAR_SECONDS);
      await sleep(holdMs / 2);
      shift?.move(-YEAR_SECONDS);
      await sleep(holdMs / 2);
      return { lines_of_other_years: linesOfOtherYears(portals) };
    },
    demands: [
      ["lines_of_other_years", ">=", 1],
      ["outage_ms", "<=", 100],
      ["lost", "==", 0],
    ],
  };
}

/** In the Local Portal's log, which its wall clock stamps: they show that it was moved. */
function linesOfOtherYears(portals: Portals): number {
  const lines = portals.log("local").trimEnd().split("\n");
  const years = lines.map((line) => new Date(line.split(" ", 1)[0] ?? "").getFullYear());
  return years.filter((year) => Math.abs(year - new Date().getFullYear()) === 1).length;
}

const NEW_KEYS = /new keys are in use/g;

const rekey: Fault = {
  name: "rekey",
  summary: "new keys every 5 s",
  portals: async () => ({ peer: ["rekey_seconds = 5"] }),
  pace: null,
  holds: { full: 30, brief: 11 },
  act: async ({ portals, holdMs }) => {
    await sleep(holdMs);
    return { rekeys: portals.log("local").match(NEW_KEYS)?.length ?? 0 };
  },
  tail: 2,
  demands: [
    ["rekeys", ">=", 2],
    ["outage_ms", "<=", 100],
    ["lost", "==", 0],
  ],
};

export const PORTAL_FAULTS: readonly Fault[] = [
  remote,
  local,
  forgetful,
  reboot,
  suspended("remote"),
  suspended("local"),
  clock(),
  rekey,
];
