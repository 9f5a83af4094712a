/**
 * What the kernel does to a link's packets on the provider's outgoing device: a token bucket for the
 * rate and, where the kernel has netem and the options allow, delay and loss before it. Pure.
 */
import { MpfwdError } from "../../src/core/errors.ts";
import { SECOND } from "../../src/core/time.ts";
import type { Direction } from "../emulator/control.ts";
import type { Impairments } from "../emulator/impairments.ts";
import { NO_STOP } from "../emulator/impairments.ts";
import { type DirectionOptions, isImpaired, type LinkOptions } from "../link-options.ts";

/** Octets of two full Ethernet frames; a bucket below one frame would pass nothing. */
const BURST_MIN = 2 * 1_514;
/** A bucket of 1 ms: short against every delay the lab makes, long against the kernel's timers. */
const BURST_US = 1_000;
/** Packets that netem may hold: 200 ms of full packets at 1 Gbit/s. */
const NETEM_PACKETS = 20_000;

/** Who delays and loses the packets of a link, both ways alike. */
export type Impairer = "nobody" | "netem" | "emulator";

/** netem reorders when it jitters, knows no packet numbers, and is not told anything later. */
export function impairer(link: LinkOptions, netem: boolean): Impairer {
  if (link.live) return "emulator";
  if (!isImpaired(link.up) && !isImpaired(link.down)) return "nobody";
  return netem && netemCan(link.up.impairments) && netemCan(link.down.impairments)
    ? "netem"
    : "emulator";
}

/**
 * The `tc` line that gives a direction of a running link another rate. Its queue keeps its octets, as
 * the memory of a modem does when the line gets slower. @throws MpfwdError ERR_USAGE for a link without rate
 */
export function rateLine(link: LinkOptions, direction: Direction, rate: number, netem: boolean) {
  const { rate: before, queue } = link[direction];
  if (before === null) throw new MpfwdError("ERR_USAGE", "the link was built without a rate");
  const octets = queueOctets(before, queue);
  const place = impairer(link, netem) === "netem" ? "parent 1:1 handle 2:" : "root";
  const device = direction === "up" ? "rp" : "lp";
  return `qdisc change dev ${device} ${place} ${tbf(rate, { octets })}`;
}

/** `tc -batch` lines of a provider. */
export function shapingLines(link: LinkOptions, netem: boolean): string[] {
  const delayed = impairer(link, netem) === "netem";
  return [
    ...deviceLines("rp", link.up, delayed),
    ...deviceLines("lp", link.down, delayed),
    // Its own line from the provider; the way up is one for both.
    ...(link.neighbour ? deviceLines("lp2", link.down, delayed) : []),
  ];
}

function deviceLines(device: string, options: DirectionOptions, netem: boolean): string[] {
  const rate = options.rate === null ? null : tbf(options.rate, options.queue);
  if (!netem) return rate === null ? [] : [`qdisc replace dev ${device} root ${rate}`];
  const { delayUs, loss, duplicate } = options.impairments;
  const first =
    `qdisc replace dev ${device} root handle 1: netem limit ${NETEM_PACKETS} ` +
    `delay ${delayUs}us loss ${loss * 100}% duplicate ${duplicate * 100}%`;
  return rate === null ? [first] : [first, `qdisc add dev ${device} parent 1:1 handle 2: ${rate}`];
}

function tbf(rate: number, queue: DirectionOptions["queue"]): string {
  const burst = Math.max(BURST_MIN, octetsIn(rate, BURST_US));
  return `tbf rate ${rate}bit burst ${burst} limit ${burst + queueOctets(rate, queue)}`;
}

function queueOctets(rate: number, queue: DirectionOptions["queue"]): number {
  return "octets" in queue ? queue.octets : octetsIn(rate, queue.us);
}

function octetsIn(rate: number, us: number): number {
  return Math.round((rate * us) / (8 * SECOND));
}

function netemCan(impairments: Impairments): boolean {
  const { jitterUs, burst, reorder, lose, stop, police } = impairments;
  const listed = lose.length > 0 || stop !== NO_STOP;
  return jitterUs === 0 && burst === 1 && reorder === 0 && !listed && police === 0;
}
