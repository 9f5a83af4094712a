/**
 * The claim, shown: one TCP flow over two links gets their sum, over a custom IP protocol and over UDP,
 * goes on when one link is cut, and when providers begin to drop the protocol. Real portals, a real TUN, iperf3; everything in namespaces that
 * go away. Exit code 1 when a claim does not hold.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { MpfwdError } from "../src/core/errors.ts";
import type { Transport } from "../src/portal/config.ts";
import { parseLink } from "./link-options.ts";
import { type Flow, type FlowDirection, iperf } from "./load/iperf.ts";
import { Portals } from "./portals.ts";
import { Lab } from "./topology/lab.ts";
import { parseMiddlebox } from "./topology/middlebox.ts";

const LINK = "rate=50mbit,delay=10ms,live";
const SECONDS = 4;
/** Two equal links, less the octets that the tunnel adds. */
const GAIN_MIN = 1.8;
/** The cut: seconds from the start of the flow. */
const TIMES = { cut: 4, back: 8, drop: 13, end: 17 };
/** Seconds in which a flow settles after a change. */
const SETTLE_SECONDS = 2;
const BAR_MBIT = 4;

const TOPOLOGY = `
                      +-- provider 1: 50 Mbit/s, 10 ms --+
  client -- Local ----+                                  +---- Remote -- server
            Portal    +-- provider 2: 50 Mbit/s, 10 ms --+     Portal

  One TCP flow (iperf3) each time; no rate is told to the portals.
`;

interface Claim {
  readonly text: string;
  readonly holds: boolean;
}

const claims: Claim[] = [];

async function main(): Promise<void> {
  progress("building the network");
  const lab = await Lab.up({ links: [parseLink(LINK), parseLink(LINK)] });
  const stop = () => void lab.down().finally(() => process.exit(130));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    say(TOPOLOGY);
    const single = await singleLink(lab);
    await bonded(lab, "udp", single, async () => {});
    await bonded(lab, "auto", single, (portals) => cutAndDrop(lab, portals));
  } finally {
    await lab.down();
  }
  conclude();
}

type Rates = Readonly<Record<FlowDirection, number>>;

async function singleLink(lab: Lab): Promise<Rates> {
  await lab.direct(1);
  const rates = await both(lab, "one link, no tunnel");
  await lab.direct(null);
  say(`  one link, no tunnel        up ${mbit(rates.up)}   down ${mbit(rates.down)}`);
  return rates;
}

/** Both directions through both links; `then` goes on with the same portals. */
async function bonded(
  lab: Lab,
  transport: "auto" | Transport,
  single: Rates,
  then: (portals: Portals) => Promise<void>,
): Promise<void> {
  progress(`two links, ${transport}: starting the portals`);
  const portals = await Portals.up(lab, { transport });
  const rates = await both(lab, `two links, ${transport}`);
  const gain = { up: rates.up / single.up, down: rates.down / single.down };
  const what = transport === "auto" ? "IP protocol 253" : "UDP";
  say(
    `  two links, ${what.padEnd(15)} up ${mbit(rates.up)}   down ${mbit(rates.down)}` +
      `   gain ${gain.up.toFixed(2)} and ${gain.down.toFixed(2)}`,
  );
  claim(
    `${what}: both directions gain at least ${GAIN_MIN}`,
    Math.min(gain.up, gain.down) >= GAIN_MIN,
  );
  if (transport === "auto") {
    claim("left to choose, links take IP protocol 253", await allBy(portals, "raw"));
  }
  await then(portals);
  await portals.down();
}

/** Every link of both portals sends by this transport. */
async function allBy(portals: Portals, transport: Transport): Promise<boolean> {
  const sides = await Promise.all([portals.status("local"), portals.status("remote")]);
  const links = sides.flatMap(({ peers }) => peers.flatMap((peer) => peer.links));
  return links.length > 0 && links.every((link) => link.transport === transport);
}

async function cutAndDrop(lab: Lab, portals: Portals): Promise<void> {
  say(
    `\n  The same over IP protocol 253; provider 1 falls silent from ${TIMES.cut} s to ${TIMES.back} s, and from` +
      ` ${TIMES.drop} s\n  both providers drop protocol 253:\n`,
  );
  const flow = iperf(lab, { direction: "down", seconds: TIMES.end, omitSeconds: 0 });
  for (let second = 0; second < TIMES.end; second += 1) {
    if (second === TIMES.cut) await lab.cut(1);
    if (second === TIMES.back) await lab.restore(1);
    if (second === TIMES.drop) await dropRaw(lab);
    progress(`a cut, a return and a protocol dropped: second ${second + 1} of ${TIMES.end}`);
    await Promise.race([sleep(1_000), flow]);
  }
  const result = await flow;
  for (const { end, rate } of result.intervals.slice(0, TIMES.end)) say(bar(Math.round(end), rate));
  say("");
  const before = mean(result, SETTLE_SECONDS, TIMES.cut);
  const during = mean(result, TIMES.cut + SETTLE_SECONDS, TIMES.back);
  const after = mean(result, TIMES.back + SETTLE_SECONDS, TIMES.drop);
  const byUdp = mean(result, TIMES.drop + SETTLE_SECONDS, TIMES.end);
  claim("the flow survives the cut", result.error === null && before > 0);
  claim("the other link carries it meanwhile", during >= 0.35 * before);
  claim("the link that comes back is used again by itself", after >= 0.8 * before);
  claim("where protocol 253 is dropped, the flow goes on by UDP", byUdp >= 0.6 * before);
  claim("and both directions of both links go by UDP", await allBy(portals, "udp"));
}

async function dropRaw(lab: Lab): Promise<void> {
  for (const link of [1, 2]) await lab.middlebox(link, parseMiddlebox("drop=raw"));
}

const EVENTS = new Map([
  [TIMES.cut, "  <- cut"],
  [TIMES.back, "  <- back"],
  [TIMES.drop, "  <- protocol 253 dropped"],
]);

function bar(second: number, rate: number): string {
  const event = EVENTS.get(second - 1) ?? "";
  const length = Math.round(rate / 1e6 / BAR_MBIT);
  return `  ${String(second).padStart(4)} s ${mbit(rate)} ${"#".repeat(length)}${event}`;
}

async function both(lab: Lab, what: string): Promise<Rates> {
  const measure = async (direction: FlowDirection) => {
    progress(`${what}: ${direction}`);
    const flow = await iperf(lab, { direction, seconds: SECONDS });
    if (flow.error !== null) throw new MpfwdError("ERR_LINK", `${what}: ${flow.error}`);
    return flow.rate;
  };
  return { up: await measure("up"), down: await measure("down") };
}

function mean(flow: Flow, from: number, to: number): number {
  const rates = flow.intervals.filter(({ end }) => end > from + 0.5 && end < to + 0.5);
  return rates.reduce((sum, { rate }) => sum + rate, 0) / Math.max(1, rates.length);
}

function claim(text: string, holds: boolean): void {
  claims.push({ text, holds });
}

function conclude(): void {
  for (const { text, holds } of claims) say(`  ${holds ? "ok    " : "FAILED"} ${text}`);
  const failed = claims.filter(({ holds }) => !holds).length;
  say(failed === 0 ? "\nEvery claim holds." : `\n${failed} of ${claims.length} claims FAILED.`);
  if (failed > 0) process.exitCode = 1;
}

const mbit = (rate: number) => `${(rate / 1e6).toFixed(1).padStart(6)} Mbit/s`;

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  console.log(text);
}

/** One line that is written over on a terminal, a line each elsewhere. */
function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K... ${text}` : `... ${text}\n`);
}

await main().catch((error: unknown) => {
  console.error(error instanceof MpfwdError ? `demo: ${error.message}` : error);
  process.exitCode = 1;
});
