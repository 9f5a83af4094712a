/** What a tunnel has used so far: CPU time of its portals, octets inside and on the links. */
import { readFileSync } from "node:fs";
import type { Portals } from "../portals.ts";
import type { Lab } from "../topology/lab.ts";

/** A hundred on every Linux. */
const TICKS_PER_SECOND = 100;
/** The counters of a veth include it. */
const ETHERNET_HEADER_OCTETS = 14;

export interface Usage {
  /** CPU seconds of both portals. */
  readonly cpu: number;
  /** Octets of inner packets, both directions, at the Local Portal. */
  readonly inner: number;
  /** Octets of outer packets, IP header included, both directions, at the Local Portal. */
  readonly outer: number;
}

interface DeviceCounters {
  readonly ifname: string;
  readonly stats64: Readonly<
    Record<"rx" | "tx", { readonly bytes: number; readonly packets: number }>
  >;
}

/** `links`: numbers of the links in use. */
export async function usage(lab: Lab, portals: Portals, links: readonly number[]): Promise<Usage> {
  const { stdout } = await lab.exec("lp", "ip", ["-json", "-stats", "link", "show"]);
  const devices = JSON.parse(stdout) as DeviceCounters[];
  const octetsOn = (link: number) =>
    devices
      .filter(({ ifname }) => ifname === `wan${link}`)
      .flatMap(({ stats64 }) => [stats64.rx, stats64.tx])
      .reduce((sum, { bytes, packets }) => sum + bytes - ETHERNET_HEADER_OCTETS * packets, 0);
  // The TUN device itself counts super-packets, whose segments have one header together.
  const { bytesIn, bytesOut } = await portals.status("local");
  return {
    cpu: cpuSeconds(portals.pid("local")) + cpuSeconds(portals.pid("remote")),
    inner: bytesIn + bytesOut,
    outer: links.reduce((sum, link) => sum + octetsOn(link), 0),
  };
}

/** User and system time of a process: `/proc/PID/stat`, fields 14 and 15 (proc(5)). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
