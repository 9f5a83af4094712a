/** Puts a portal's numbers into the form that the control socket hands out. */

import type { Log } from "../core/log.ts";
import { hostText, pathText } from "../core/path.ts";
import { SECOND, type TimeUs } from "../core/time.ts";
import { TRANSPORTS } from "../core/transport.ts";
import type { Link } from "../link/link.ts";
import { COUNTER } from "../native/native.ts";
import type { Contenders } from "../session/contest.ts";
import { addedOctets } from "../wire/overhead.ts";
import type { DataPath } from "./datapath.ts";
import type { Peer } from "./peer.ts";
import type { LinkStatus, PeerStatus, TransportStatus } from "./snapshot.ts";

/** What only the owner of a link's socket knows of it. */
export interface LinkPlace {
  readonly device: string | null;
  readonly remote: string | null;
}

/** `startedUs`: when the portal began; no link has been in any state for longer. */
export function peerStatus(
  nowUs: TimeUs,
  startedUs: TimeUs,
  peer: Peer,
  place: (link: Link) => LinkPlace,
  contenders: Contenders | null = null,
): PeerStatus {
  const { egress, arrived } = peer.bond;
  const total = peer.meters.reduce((sum, meter) => sum + meter.out, 0);
  // The bond has them in the order in which they were attached.
  const links = [...peer.bond.links].sort((a, b) => a.number - b.number);
  return {
    name: peer.name,
    established: peer.established,
    contenders: contenders?.map(hostText) ?? null,
    innerMtu: peer.innerMtu,
    repair: {
      resent: egress.repair.resent,
      abandoned: egress.repair.abandoned,
      copies: egress.copies.made,
    },
    order: {
      held: arrived.heldCount,
      lostByProgress: arrived.lostByProgress,
      lostByTime: arrived.lostByTime,
      late: arrived.late,
    },
    links: links.map((link) => ({
      ...linkStatus(peer, link, place(link), total),
      ...transportStatus(nowUs, peer, link),
      sinceSeconds: (nowUs - Math.max(link.life.sinceUs, startedUs)) / SECOND,
    })),
  };
}

function linkStatus(
  peer: Peer,
  link: Link,
  place: LinkPlace,
  totalOut: number,
): Omit<LinkStatus, "sinceSeconds" | keyof TransportStatus> {
  const meter = peer.meters[link.number];
  const { counters, rtt, life } = link;
  return {
    ...place,
    name: link.name,
    state: life.tag,
    srttUs: rtt.hasSample ? Math.round(rtt.srttUs) : null,
    rttMinUs: rtt.hasSample ? Math.round(rtt.minUs) : null,
    loss: meter?.loss ?? 0,
    rateOut: Math.round(meter?.out ?? 0),
    rateIn: Math.round(meter?.in ?? 0),
    share: totalOut > 0 ? (meter?.out ?? 0) / totalOut : 0,
    controller: link.sender.controller.name,
    phase: link.sender.controller.phase,
    ecn: link.asksForMarks,
    queueUs: Math.round(link.sender.oneWay.queueUs),
    cwndBytes: Math.round(link.sender.controller.cwndBytes),
    inFlightBytes: link.sender.inFlightBytes,
    packetsOut: counters.packetsOut,
    packetsIn: counters.packetsIn,
    bytesOut: counters.bytesOut,
    bytesIn: counters.bytesIn,
    packetsLost: link.sender.packetsLost,
    doubts: link.liveness.doubts,
    downs: link.liveness.downs,
  };
}

/** What the link's packets are carried by, and what is known of the others. */
function transportStatus(nowUs: TimeUs, peer: Peer, link: Link): TransportStatus {
  const ladder = peer.ladders[link.number]?.status(nowUs);
  const sizes = peer.sizes[link.number];
  const transports = (ladder?.transports ?? []).map((rung) => ({
    ...rung,
    mtu: rung.transport === "tcp" ? null : (sizes?.sizeOf(rung.transport).octets ?? null),
  }));
  return {
    transport: peer.carriers[link.number]?.transport ?? null,
    transportIn: ladder?.peer ?? null,
    transports,
    switches: ladder?.switches ?? 0,
    lastSwitch: ladder?.lastCause ?? null,
  };
}

/** Where a Remote Portal's link leads: the path its client answered from. */
export function remotePlace(peer: Peer, link: Link): LinkPlace {
  const path = peer.carriers[link.number]?.route?.path ?? null;
  return { device: null, remote: path === null ? null : pathText(path) };
}

/** Drops by reason, those that occurred. */
export function dropsOf(data: DataPath, session: Readonly<Record<string, number>>) {
  const drops: Record<string, number> = {};
  const add = (name: string, count: number) => {
    if (count > 0) drops[name] = (drops[name] ?? 0) + count;
  };
  for (const name of NATIVE_DROPS) add(name, data.arena.counters[COUNTER[name]] as number);
  for (const [name, count] of Object.entries(data.drops)) add(name, count);
  add("tooLong", data.tooLong.dropped);
  // Not lost: cut into fragments.
  add("tooLongCut", data.tooLong.cut);
  for (const [name, count] of Object.entries(session)) add(name, count);
  for (const { bond } of data.peers) {
    add("queueOverflow", bond.egress.queue.overflowed);
    add("queueDropped", bond.egress.queue.dropped);
    // Not lost: marked CE in place of a drop.
    add("queueMarked", bond.egress.queue.marked);
    add("queueTooLate", bond.egress.queue.expired);
    add("tooBig", bond.egress.tooBig);
    add("duplicate", bond.arrived.duplicates);
    add("feedbackMalformed", bond.feedbackMalformed);
    for (const { counters } of bond.links) add("feedbackInvalid", counters.feedbackInvalid);
  }
  return drops;
}

const NATIVE_DROPS = [
  "truncated",
  "badType",
  "badIndex",
  "badTag",
  "replayed",
  "tooOld",
  "oversize",
  "sendNoBuffers",
  "sendRefused",
  "sendUnreachable",
  "sendTooBig",
  "sendOtherError",
  "tunMalformed",
  "tunWriteErrors",
  "acceptsRefused",
  "badFrames",
] as const;

/** Octets added to an inner packet, for `mpfwd status` and the documents. */
export function overheadTable(tagOctets: number): Record<string, number> {
  const table: Record<string, number> = {};
  for (const transport of TRANSPORTS) {
    for (const family of [4, 6] as const) {
      const carriage = { transport, family, tagOctets };
      table[`${transport}${family}`] = addedOctets(carriage, false);
      table[`${transport}${family}Bonded`] = addedOctets(carriage, true);
    }
  }
  return table;
}

/** Says what the kernel granted, once. */
export function logOffloads(log: Log, asked: boolean, granted: number): void {
  if (!asked || granted !== 0) return;
  log.warn("this kernel grants no TUN offloads: packets go one by one, which costs throughput");
}
