/** Round trips by ping(8) between two namespaces of a lab. */
import type { Lab } from "../topology/lab.ts";
import type { Role } from "../topology/names.ts";

export interface PingOptions {
  readonly from: Role;
  readonly to: string;
  readonly count: number;
  /** Seconds between packets; default 0.02. */
  readonly interval?: number;
  /** Octets of ICMP data; default 56. */
  readonly size?: number;
  /** Sets DF, so that what is too long for the path is lost. */
  readonly whole?: boolean;
  /** Clears DF, so that routers cut what is too long; by default ping sets it and heeds what routers say. */
  readonly cut?: boolean;
  /** Source address; default: as the kernel chooses. */
  readonly source?: string;
  /** Fills the data behind the timestamp: up to 16 octets as hexadecimal digits. */
  readonly pattern?: string;
}

export interface PingResult {
  readonly sent: number;
  /** Sequence numbers in the order in which their answers came, duplicates included. */
  readonly answers: readonly number[];
  /** Milliseconds, of each answer. */
  readonly times: readonly number[];
}

const INTERVAL_SECONDS = 0.02;
/** What ping waits for after its last packet, seconds. */
const LAST_WAIT_SECONDS = 2;

export async function ping(lab: Lab, options: PingOptions): Promise<PingResult> {
  const { count, interval = INTERVAL_SECONDS, size = 56 } = options;
  const args = ["-n", "-c", `${count}`, "-i", `${interval}`, "-s", `${size}`];
  if (options.pattern !== undefined) args.push("-p", options.pattern);
  if (options.whole === true) args.push("-M", "do");
  if (options.cut === true) args.push("-M", "dont");
  if (options.source !== undefined) args.push("-I", options.source);
  const { stdout } = await lab.exec(
    options.from,
    "ping",
    [...args, "-W", `${LAST_WAIT_SECONDS}`, options.to],
    { mayFail: true, limitMs: (count * interval + LAST_WAIT_SECONDS) * 1_000 + 10_000 },
  );
  const found = [...stdout.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms/g)];
  return {
    sent: count,
    answers: found.map((match) => Number(match[1])),
    times: found.map((match) => Number(match[2])),
  };
}

/** The value below which `share` (0..1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
