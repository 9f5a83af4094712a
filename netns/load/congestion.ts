/** The senders' congestion control: cubic, as the comparisons of this field use it, where it is there. */
import { readFileSync, writeFileSync } from "node:fs";
import { run } from "../command.ts";

const WANTED = "cubic";
const SYSCTL = "/proc/sys/net/ipv4";

/**
 * The name to give to `iperf3 -C`: cubic, or the machine's own where the kernel has no cubic. What a
 * namespace may select is a setting of the whole machine; cubic is added to it and stays.
 */
export async function senderControl(): Promise<string> {
  if (!words("tcp_available_congestion_control").includes(WANTED)) {
    await run("modprobe", ["tcp_cubic"], { mayFail: true });
  }
  if (!words("tcp_available_congestion_control").includes(WANTED)) {
    return words("tcp_congestion_control")[0] ?? "reno";
  }
  const allowed = words("tcp_allowed_congestion_control");
  if (!allowed.includes(WANTED)) {
    writeFileSync(`${SYSCTL}/tcp_allowed_congestion_control`, [...allowed, WANTED].join(" "));
  }
  return WANTED;
}

function words(name: string): string[] {
  return readFileSync(`${SYSCTL}/${name}`, "utf8").trim().split(/\s+/);
}
