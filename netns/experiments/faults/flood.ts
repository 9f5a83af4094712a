/** Ten times more comes into the tunnel than its links carry. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ping, quantile } from "../../load/ping.ts";
import { ADDRESS } from "../../topology/names.ts";
import type { Fault } from "./fault.ts";

const LINK = "rate=5mbit,delay=10ms,live";
/** Ten times what both links carry. */
const FLOOD_BITS = 100e6;
const PACKET_OCTETS = 1_200;
const PORT = 5_301;
const PINGS_PER_SECOND = 5;
const LOOK_MS = 200;

export const flood: Fault = {
  name: "overload",
  summary: "100 Mbit/s of UDP into a tunnel that carries 10",
  links: [LINK, LINK],
  pace: 4e6,
  holds: { full: 60, brief: 5 },
  act: async ({ lab, portals, holdMs }) => {
    const server = lab.spawn("server", "iperf3", ["-s", "-1", "--forceflush", "-p", `${PORT}`]);
    await server.saw("listening", 5_000);
    const seconds = Math.round(holdMs / 1_000);
    const before = residentMegabytes(portals.pid("local"));
    const load = ["-u", "-b", `${FLOOD_BITS}`, "-l", `${PACKET_OCTETS}`, "-t", `${seconds}`];
    const flooded = lab.exec(
      "client",
      "iperf3",
      ["-c", ADDRESS.server(4), "-p", `${PORT}`, ...load],
      { mayFail: true, limitMs: holdMs + 20_000 },
    );
    const pinged = ping(lab, {
      ...{ from: "client", to: ADDRESS.server(4) },
      ...{ count: seconds * PINGS_PER_SECOND, interval: 1 / PINGS_PER_SECOND },
    });
    let most = before;
    for (
      const endMs = performance.now() + holdMs;
      performance.now() < endMs;
      await sleep(LOOK_MS)
    ) {
      most = Math.max(most, residentMegabytes(portals.pid("local")));
    }
    const [{ sent, answers, times }] = await Promise.all([pinged, flooded]);
    await server.end();
    return {
      rss_before_mb: before,
      rss_most_mb: most,
      pings_lost: sent - answers.length,
      ping_ms_p95: Math.round(quantile(times, 0.95)),
    };
  },
  demands: [
    ["rss_most_mb", "<=", 250],
    ["pings_lost", "==", 0],
    ["lost", "==", 0],
  ],
};

/** `VmRSS` of proc(5). */
function residentMegabytes(pid: number): number {
  const [, kilobytes = "0"] =
    /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1_024);
}
