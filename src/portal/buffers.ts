/**
 * How much waits in the kernel while the event loop stands still: a garbage collection, a log line to a slow disk,
 * a machine that gives its processor to somebody else. Meant for 50 ms at 20 000 packets a second either way.
 */
import type { Log } from "../core/log.ts";
import type { Engine } from "../native/native.ts";

/**
 * The stall's 1000 packets, and as many for senders that send in bursts. The kernel's 500 lost half of them. Full of
 * small packets it takes 2 MB of the kernel's memory, full of super-packets of 64 KiB 130 MB.
 */
export const TUN_QUEUE_PACKETS = 2_000;
/**
 * The same 1000 packets in a socket, each counted by the kernel as 4 KiB at the worst: drivers give a small packet
 * half a page or a whole one.
 */
const RECEIVE_BYTES_MIN = 1_000 * 4_096;

/** What sockets ask for (`native/socket.cc`). */
const ASKED_BYTES = 8 << 20;

/** Says so when the sockets to come will get less than that. */
export function logBuffers(
  log: Pick<Log, "warn">,
  engine: Pick<Engine, "openSocket" | "bufferBytes" | "close">,
): void {
  const socket = engine.openSocket({ kind: "udp", family: 4 });
  const { receive } = engine.bufferBytes(socket);
  engine.close(socket);
  if (receive >= RECEIVE_BYTES_MIN) return;
  log.warn(
    `sockets get ${Math.round(receive / 1024)} KiB for what they receive, so that bursts are lost; give CAP_NET_ADMIN or raise net.core.rmem_max to ${ASKED_BYTES}`,
  );
}
