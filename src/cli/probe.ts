/**
 * `mpfwd probe`: measures every link to a Remote Portal, or to `mpfwd probe --listen`, and says which
 * transport each needs. Changes nothing on this machine, and stops by itself.
 */

import { MpfwdError } from "../core/errors.ts";
import { checkCapabilities } from "../host/privilege.ts";
import { resolveHost } from "../io/names.ts";
import type { LinkMeasurement } from "../probe/measurement.ts";
import { verdictOf } from "../probe/verdict.ts";
import type { Probing } from "../prober/probing.ts";
import type { ProbedLink } from "../prober/probing-options.ts";
import { PROBE_SCHEMA, type ProbeDocument, type ProbedResult, probeJson } from "./probe-json.ts";
import { type LinkWish, type ProbeFlags, type ProbeWish, readProbe } from "./probe-options.ts";
import { probeText } from "./probe-text.ts";
import { readVersion } from "./version.ts";

const PROGRESS_MS = 250;
/** Carriage return, and erase to the end of the line (ECMA-48). */
const REDRAW = "\r\u001b[K";

/** @returns the exit code */
export async function probe(target: string, flags: ProbeFlags): Promise<number> {
  const wish = readProbe(target, flags);
  checkCapabilities(["CAP_NET_RAW"]);
  const links = await Promise.all(wish.links.map((link) => resolve(link, wish)));
  // Only this command needs the addon.
  const { Probing } = await import("../prober/probing.ts");
  const { identity, rate, durationUs, long, trace } = wish;
  const probing = new Probing({ ...identity, links, rate, durationUs, long, trace });
  const measurements = await run(probing);
  if (probing.refusal !== null) throw refused(probing.refusal.reason);
  if (measurements === null) throw new MpfwdError("ERR_LINK", "the probe was interrupted");
  const results = measurements.map((measurement, index) => {
    const { name, device, source, address } = links[index] as ProbedLink;
    return {
      ...{ name, device: device ?? null, source: source ?? null, remote: address },
      ...{ measurement, verdict: verdictOf(measurement, wish.protocol) },
      trace: probing.traceOf(index),
    };
  });
  const document = documentOf(wish, results);
  process.stdout.write(flags.json ? probeJson(document) : probeText(document));
  return document.exitCode;
}

/** Null: a signal came first. */
async function run(probing: Probing): Promise<LinkMeasurement[] | null> {
  let interrupted = false;
  const show = () => {
    const { title, step, steps } = probing.progress;
    process.stderr.write(`${REDRAW}${step + 1} of ${Math.max(steps, step + 1)}: ${title}`);
  };
  const timer = process.stderr.isTTY ? setInterval(show, PROGRESS_MS) : undefined;
  const signal = new Promise<void>((settle) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(name, () => {
        interrupted = true;
        settle();
      });
    }
  });
  probing.start();
  await Promise.race([probing.done, signal]);
  const measurements = probing.stop();
  clearInterval(timer);
  if (timer !== undefined) process.stderr.write(REDRAW);
  return interrupted ? null : measurements;
}

function documentOf(wish: ProbeWish, links: readonly ProbedResult[]): ProbeDocument {
  const { port, protocol, rate, durationUs } = wish;
  return {
    ...{ schema: PROBE_SCHEMA, version: readVersion(), port, protocol, rate },
    ...{ seconds: durationUs / 1e6, links },
    exitCode: Math.max(...links.map(({ verdict }) => verdict.exitCode)),
  };
}

async function resolve(wish: LinkWish, { family, port, protocol }: ProbeWish): Promise<ProbedLink> {
  const { name, host, mtu, device, source } = wish;
  const any = family === null ? undefined : family === 4 ? "0.0.0.0" : "::";
  const found = await resolveHost(host, source ?? any);
  if (family !== null && found.family !== family) {
    const text = `link ${name}: ${host} is no IPv${family} address, which -${family} asks for`;
    throw new MpfwdError("ERR_USAGE", text);
  }
  return {
    ...{ name, mtu, port, protocol, ...found },
    ...(device === undefined ? {} : { device }),
    ...(source === undefined ? {} : { source }),
  };
}

function refused(reason: string): MpfwdError {
  const mends: Readonly<Record<string, string>> = {
    purpose: "it does not let itself be measured",
    transport: "it accepts none of our transports",
  };
  const why = mends[reason] ?? `for a reason this version does not know (${reason})`;
  return new MpfwdError("ERR_LINK", `the Remote Portal refuses the probe: ${why}`);
}
