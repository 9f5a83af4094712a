/**
 * `mpfwd up`: one portal in the foreground. Lock, clean what a killed run left, start the portal,
 * change the machine, open the control socket; then wait. Whatever ends it, what was done is undone
 * in reverse.
 */
import { chmodSync, mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type InstancePaths, instancePaths } from "../control/control.ts";
import { openControl } from "../control/server.ts";
import { MpfwdError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { deviceExists, ownRoutes, undoChanges } from "../host/host.ts";
import { abstractName, lockedNames, takeLock } from "../host/lock.ts";
import { tunnelRoutes } from "../host/plan.ts";
import { type Capability, checkPrivileges } from "../host/privilege.ts";
import { readRecord, removeRecord } from "../host/record.ts";
import type { PortalConfig } from "../portal/config.ts";
import type { RunningPortal } from "../portal/portal.ts";
import { readConfiguration } from "./configuration.ts";
import { EXIT } from "./exit.ts";
import { openGuard, removeStrayGuards } from "./guard.ts";
import { hostPlan, plannedMtu, planText } from "./host-plan.ts";
import { KeptChanges } from "./kept-changes.ts";
import { openLog } from "./log.ts";
import { OuterRoutes } from "./outer-routes.ts";
import { Steps } from "./steps.ts";
import { StopSignal } from "./stop-signal.ts";
import { readVersion } from "./version.ts";

/** A killed portal's device leaves with its process, which may still be on its way out. */
const DEVICE_WAIT_MS = 2000;
const DEVICE_POLL_MS = 50;

/** Prints the commands that `up` would run. Needs no privilege. @returns the exit code */
export async function dryRun(file: string): Promise<number> {
  const config = readConfiguration(file);
  const log = openLog();
  const mtu = await plannedMtu(config, log);
  process.stdout.write(planText(config, await hostPlan(config, config.tunnel.name, mtu, log)));
  return EXIT.ok;
}

/** @returns the exit code */
export async function up(file: string, stateDirectory: string): Promise<number> {
  const config = readConfiguration(file);
  checkPrivileges(neededCapabilities(config));
  const log = openLog();
  const stop = new StopSignal(log);
  const steps = new Steps();
  let clean = true;
  try {
    await start(config, stateDirectory, { log, steps, stop });
    await stop.asked;
  } finally {
    clean = await steps.unwind(log);
  }
  if (clean && !stop.failed) log.info("stopped, everything is undone");
  return clean && !stop.failed ? EXIT.ok : EXIT.failed;
}

export function neededCapabilities(config: PortalConfig): Capability[] {
  const raw =
    config.role === "local"
      ? config.links.some((link) => link.transports.includes("raw"))
      : config.transports.includes("raw");
  return raw ? ["CAP_NET_ADMIN", "CAP_NET_RAW"] : ["CAP_NET_ADMIN"];
}

interface Run {
  readonly log: Log;
  readonly steps: Steps;
  readonly stop: StopSignal;
}

async function start(config: PortalConfig, stateDirectory: string, run: Run): Promise<void> {
  const { log, stop, steps } = run;
  const paths = instancePaths(stateDirectory, config.tunnel.name);
  makeDirectory(paths);
  // Only this command needs the data path; it is read while other programs look at the machine.
  const loading = import("../portal/portal.ts");
  loading.catch(() => {}); // Whoever waits for it gets the error.
  await lock(config.tunnel.name, paths, steps);
  await cleanLeftovers(config.tunnel.name, paths, log);
  if (stop.isAsked) return;
  const guard = await openGuard(config, steps, log);
  if (stop.isAsked) return;
  const portal = await openPortal(await loading, config, paths, run);
  if (stop.isAsked) return;
  guard?.follow(() => portal.hearsTcp());
  const kept = new KeptChanges(paths.record);
  steps.push("undo the changes of the machine", () => kept.undo());
  await kept.make(await hostPlan(config, portal.device, portal.mtu, log));
  if (stop.isAsked) return;
  keepOutside(config, portal, kept, run);
  const control = await openControl(paths.control, portal);
  steps.push("close the control socket", () => control.close());
  log.info(`${portal.device} is up, role ${config.role}, MTU ${portal.mtu}`);
}

/** Routes into the tunnel must not swallow what carries it, wherever the machine's other routes lead. */
function keepOutside(
  { tunnel, role }: PortalConfig,
  portal: RunningPortal,
  kept: KeptChanges,
  { log, steps }: Run,
): void {
  const routes = tunnelRoutes(tunnel);
  if (role !== "local" || routes.length === 0) return;
  const ways = () => portal.ways();
  const outer = new OuterRoutes({ tunnel: portal.device, routes, ways, kept, log });
  portal.onChange(() => outer.changed());
  steps.push("leave the routes past the tunnel", async () => outer.close());
  outer.changed();
}

async function lock(name: string, paths: InstancePaths, steps: Steps): Promise<void> {
  const ofName = await takeLock(abstractName(name), `the name ${name}`);
  steps.push("release the name", () => ofName.release());
  const ofDirectory = await takeLock(paths.lock, paths.directory);
  steps.push("release the directory", () => ofDirectory.release());
}

async function cleanLeftovers(name: string, paths: InstancePaths, log: Log): Promise<void> {
  const recorded = readRecord(paths.record);
  if (recorded === null) log.warn(`the record ${paths.record} is damaged; looking at the machine`);
  const undone = await undoChanges(recorded ?? []);
  // Routes without a record can only be told apart while no other portal runs here.
  const alone = lockedNames().every((other) => other === name);
  const stray = alone ? await undoChanges(await ownRoutes()) : [];
  const count = undone.length + stray.length;
  if (count > 0) log.info(`removed ${count} addresses and routes that a killed run left`);
  await removeStrayGuards(name, alone, log);
  removeRecord(paths.record);
  const polls = DEVICE_WAIT_MS / DEVICE_POLL_MS;
  for (let poll = 0; await deviceExists(name); poll += 1) {
    if (poll >= polls) {
      const mend = `choose another tunnel.name, or remove it with: ip link delete ${name}`;
      throw new MpfwdError("ERR_TUN", `a device named ${name} exists already; ${mend}`);
    }
    await sleep(DEVICE_POLL_MS);
  }
}

async function openPortal(
  { startPortal }: typeof import("../portal/portal.ts"),
  config: PortalConfig,
  paths: InstancePaths,
  { log, steps, stop }: Run,
): Promise<RunningPortal> {
  const portal = await startPortal(config, {
    log,
    version: readVersion(),
    stateDirectory: paths.directory,
    onFailure: ({ message }) => stop.fail(message),
  });
  steps.push("stop the portal", () => portal.stop());
  return portal;
}

function makeDirectory(paths: InstancePaths): void {
  try {
    mkdirSync(paths.directory, { recursive: true });
    chmodSync(paths.directory, 0o700);
  } catch (cause) {
    const message = `cannot prepare ${paths.directory}: ${cause}`;
    throw new MpfwdError("ERR_HOST", message, cause);
  }
}
