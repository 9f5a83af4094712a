/**
 * The senders' congestion control. The comparisons of this field use cubic; bbr is the other one that
 * much of the Internet's traffic has.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { MpfwdError } from "../../src/core/errors.ts";
import { run } from "../command.ts";

export type Sender = "cubic" | "bbr" | "reno";

export const SENDERS: readonly Sender[] = ["cubic", "bbr", "reno"];

const DEFAULT: Sender = "cubic";
const SYSCTL = "/proc/sys/net/ipv4";

/**
 * The name to give to `iperf3 -C`. Without `wanted` cubic, or the machine's own where the kernel has no
 * cubic. What a namespace may select is a setting of the whole machine; the name is added to it and stays.
 * @throws MpfwdError ERR_HOST when the kernel has not what is wanted
 */
export async function senderControl(wanted?: Sender): Promise<string> {
  const name = wanted ?? DEFAULT;
  if (!(await available(name))) {
    if (wanted === undefined) return words("tcp_congestion_control")[0] ?? "reno";
    const known = words("tcp_available_congestion_control").join(", ");
    throw new MpfwdError("ERR_HOST", `this kernel has no TCP sender ${name}; it has ${known}`);
  }
  const allowed = words("tcp_allowed_congestion_control");
  if (!allowed.includes(name)) {
    writeFileSync(`${SYSCTL}/tcp_allowed_congestion_control`, [...allowed, name].join(" "));
  }
  return name;
}

async function available(name: Sender): Promise<boolean> {
  const isThere = () => words("tcp_available_congestion_control").includes(name);
  if (!isThere()) await run("modprobe", [`tcp_${name}`], { mayFail: true });
  return isThere();
}

function words(name: string): string[] {
  return readFileSync(`${SYSCTL}/${name}`, "utf8").trim().split(/\s+/);
}
