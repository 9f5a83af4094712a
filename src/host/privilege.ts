/** What a portal needs from the kernel before it starts, and the name of what is missing. */
import { closeSync, openSync, readFileSync } from "node:fs";
import { MpfwdError } from "../core/errors.ts";

/** Bits of capabilities(7). */
const CAPABILITY = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;
export type Capability = keyof typeof CAPABILITY;

const TUN = "/dev/net/tun";

/** @param status - text of /proc/PID/status */
export function missingCapabilities(status: string, needed: readonly Capability[]): Capability[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return needed.filter((name) => ((effective >> CAPABILITY[name]) & 1n) === 0n);
}

/** @throws MpfwdError ERR_PRIVILEGE naming the missing capability */
export function checkCapabilities(needed: readonly Capability[]): void {
  const missing = missingCapabilities(readFileSync("/proc/self/status", "utf8"), needed);
  if (missing.length > 0) {
    const mend = "run as root, or under systemd with AmbientCapabilities=";
    throw new MpfwdError("ERR_PRIVILEGE", `missing ${missing.join(" and ")}; ${mend}`);
  }
}

/** @throws MpfwdError ERR_PRIVILEGE naming the missing capability or /dev/net/tun */
export function checkPrivileges(needed: readonly Capability[]): void {
  checkCapabilities(needed);
  try {
    closeSync(openSync(TUN, "r+"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const mend =
      code === "ENOENT" || code === "ENODEV"
        ? "load it with: modprobe tun (in a container: --device /dev/net/tun)"
        : "its mode or the container's device policy forbids it";
    throw new MpfwdError("ERR_PRIVILEGE", `cannot open ${TUN} (${code}); ${mend}`, error);
  }
}
