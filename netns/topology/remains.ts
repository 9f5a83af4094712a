/**
 * Which labs there are, and removing one whoever made it: by the processes inside its namespaces, the
 * namespaces themselves, and its state directory. Nothing else is touched.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../command.ts";
import { idOfNamespace } from "./names.ts";

export const STATE_ROOT = "/run/mpfwd-lab";

/** Between SIGTERM and SIGKILL for what still runs in a namespace. */
const GRACE_MS = 2_000;
const LOOK_AGAIN_MS = 20;

/** Ids of all labs of a group that left anything, oldest name first. */
export async function labIds(group: string): Promise<string[]> {
  const ids = new Set<string>();
  for (const namespace of await namespaces()) {
    const id = idOfNamespace(namespace, group);
    if (id !== null) ids.add(id);
  }
  for (const name of directories()) if (name.startsWith(`${group}-`)) ids.add(name);
  return [...ids].sort();
}

/** Ends, deletes and forgets; what is already gone is no fault. */
export async function removeLab(id: string): Promise<void> {
  const mine = (await namespaces()).filter((name) => name.startsWith(`mpfwd-${id}-`));
  const pids = (await Promise.all(mine.map(pidsIn))).flat();
  await endProcesses(pids);
  if (mine.length > 0) {
    const lines = mine.map((name) => `netns delete ${name}\n`).join("");
    await run("ip", ["-force", "-batch", "-"], { input: lines, mayFail: true });
  }
  rmSync(join(STATE_ROOT, id), { recursive: true, force: true });
}

async function namespaces(): Promise<string[]> {
  const { stdout } = await run("ip", ["netns", "list"], { mayFail: true });
  return stdout
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "")
    .filter((name) => name !== "");
}

function directories(): string[] {
  try {
    return readdirSync(STATE_ROOT);
  } catch {
    return []; // No lab has run since the machine started.
  }
}

async function pidsIn(namespace: string): Promise<number[]> {
  const { stdout } = await run("ip", ["netns", "pids", namespace], { mayFail: true });
  return stdout
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid);
}

async function endProcesses(pids: readonly number[]): Promise<void> {
  const alive = () => pids.filter((pid) => signal(pid, 0));
  for (const pid of pids) signal(pid, "SIGTERM");
  const limit = performance.now() + GRACE_MS;
  while (alive().length > 0 && performance.now() < limit) await sleep(LOOK_AGAIN_MS);
  for (const pid of alive()) signal(pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // It ended in the meantime.
  }
}
