/** Middleboxes of the lab, as models: what each does to a packet on its way. */
import type { Transport } from "../../src/core/transport.ts";
import type { Direction } from "../../src/probe/plan.ts";
import type { Fate, Middlebox, Packet } from "./world.ts";

/** Applies to raw packets of these directions only. */
export function raw(directions: readonly Direction[], fate: (packet: Packet) => Fate): Middlebox {
  return (packet) =>
    packet.transport === "raw" && !packet.otherProtocol && directions.includes(packet.direction)
      ? fate(packet)
      : "pass";
}

/** Octets a second that pass, and a bucket as large as that of nftables: a second's worth and a burst. */
export function policer(direction: Direction, octetsPerSecond: number): Middlebox {
  const bucket = octetsPerSecond + 15_000;
  let octets = bucket;
  let atUs = 0;
  return (packet, nowUs) => {
    if (packet.transport !== "raw" || packet.direction !== direction) return "pass";
    octets = Math.min(bucket, octets + ((nowUs - atUs) / 1e6) * octetsPerSecond);
    atUs = nowUs;
    if (octets < packet.octets) return "drop";
    octets -= packet.octets;
    return "pass";
  };
}

/** Drops by share, of some transports. */
export function lossy(share: number, transports: readonly Transport[]): Middlebox {
  return ({ transport }, _nowUs, random) =>
    transports.includes(transport) && random() < share ? "drop" : "pass";
}

export const MANGLED_AT = 13;
export const mangle = (packet: Packet): Fate => {
  const at = MANGLED_AT;
  if (packet.message.length <= at) return "pass";
  packet.message[at] = (packet.message[at] as number) ^ 0x55;
  return "mangled";
};

export const both = ["up", "down"] as const;
export const datagram = (transport: Transport) => transport !== "tcp";
