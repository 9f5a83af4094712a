/**
 * How many octets a device has sent, looked at again and again, with the times: a process in the device's
 * namespace.
 *
 *   node octets.js DEVICE MILLISECONDS
 *
 * Prints `counting`, and on SIGTERM a line of JSON, a `Counted`.
 */
import { readFileSync } from "node:fs";
import { monotonicMs } from "./arrivals.ts";

export interface Counted {
  /** On the monotonic clock, rising. */
  readonly atMs: readonly number[];
  /** Ethernet header included, since the device was made. */
  readonly octets: readonly number[];
}

/** `/proc/net/dev` of proc(5): behind the name eight columns of what came, then octets sent. */
const SENT_COLUMN = 8;

function count(device: string, everyMs: number): void {
  const atMs: number[] = [];
  const octets: number[] = [];
  const look = () => {
    const line = readFileSync("/proc/net/dev", "utf8")
      .split("\n")
      .find((one) => one.trimStart().startsWith(`${device}:`));
    const columns = line?.split(":")[1]?.trim().split(/\s+/) ?? [];
    atMs.push(monotonicMs());
    octets.push(Number(columns[SENT_COLUMN]));
  };
  setInterval(look, everyMs);
  process.on("SIGTERM", () => {
    console.log(JSON.stringify({ atMs, octets } satisfies Counted));
    process.exit(0);
  });
  console.log("counting");
}

count(process.argv[2] ?? "", Number(process.argv[3]));
