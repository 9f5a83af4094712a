/** Whether the kernel tracks connections in this network namespace. */
import { readFileSync } from "node:fs";

/** Of the namespace that the reader is in; absent until the module is loaded. */
const COUNT = "/proc/sys/net/netfilter/nf_conntrack_count";

/**
 * True when there are entries. The kernel tracks where a rule of this namespace has asked for it, and
 * nothing says so; but then the first packet makes an entry, and one of our own will.
 */
export function connectionsTracked(path = COUNT): boolean {
  try {
    return Number(readFileSync(path, "utf8")) > 0;
  } catch {
    return false;
  }
}
