/** A portal's status as text: one line a link, then totals and drops. Pure. */
import type { LinkStatus, PeerStatus, PortalStatus } from "../portal/snapshot.ts";
import { table } from "./table.ts";

const HEAD = [
  "link",
  "state",
  "transport",
  "device",
  "address",
  "MTU",
  "RTT",
  "loss",
  "out",
  "in",
  "share",
  "since",
];

export function statusText(status: PortalStatus): string {
  const { name, role, pid, version, mtu } = status;
  const offload = status.offload ? "on" : "off";
  const uptime = `up ${durationText(status.uptimeSeconds)}`;
  return [
    `${name}: ${role} portal, ${uptime}, pid ${pid}, version ${version}`,
    `  MTU ${mtu}, offload ${offload}, octets added: ${overheadText(status.overhead)}`,
    ...status.peers.flatMap(peerLines),
    ...totalLines(status),
    "",
  ].join("\n");
}

function peerLines(peer: PeerStatus): string[] {
  const session = peer.established
    ? `session established, inner packets up to ${peer.innerMtu} octets`
    : "no session";
  const rows = peer.links.map(linkCells);
  const links = rows.length === 0 ? ["no links"] : table([HEAD, ...rows]);
  return [
    "",
    `  ${peer.name}: ${session}`,
    ...contestLines(peer),
    ...links.map((line) => `    ${line}`),
  ];
}

/** The cause of sessions that end every second, and the mend. */
function contestLines({ contenders }: PeerStatus): string[] {
  if (contenders === null) return [];
  return [
    `    used from ${contenders.join(" and ")} in turn: probably two machines have the same key;`,
    "    stop one, or give it a client of its own (mpfwd init --add-to)",
  ];
}

function linkCells(link: LinkStatus): string[] {
  return [
    link.name,
    link.state,
    transportText(link),
    link.device ?? "-",
    link.remote ?? "-",
    mtuText(link),
    link.srttUs === null ? "-" : `${(link.srttUs / 1000).toFixed(1)} ms`,
    `${(link.loss * 100).toFixed(1)} %`,
    rateText(link.rateOut),
    rateText(link.rateIn),
    `${Math.round(link.share * 100)} %`,
    durationText(link.sinceSeconds),
  ];
}

/** `raw`, or `raw/udp` where the directions differ: out before in. */
function transportText({ transport, transportIn }: LinkStatus): string {
  if (transport === null) return "-";
  return transportIn === null || transportIn === transport
    ? transport
    : `${transport}/${transportIn}`;
}

/** What the transport in use is known to carry. */
function mtuText({ transport, transports }: LinkStatus): string {
  return `${transports.find((one) => one.transport === transport)?.mtu ?? "-"}`;
}

function totalLines(status: PortalStatus): string[] {
  const drops = Object.entries(status.drops).sort(([, a], [, b]) => b - a);
  const dropped = drops.map(([reason, count]) => `${reason} ${count}`).join(", ");
  return [
    "",
    `  out     ${countText(status.packetsOut)}, ${sizeText(status.bytesOut)}`,
    `  in      ${countText(status.packetsIn)}, ${sizeText(status.bytesIn)}`,
    `  queue   ${countText(status.queuePackets)}, ${sizeText(status.queueBytes)}`,
    `  drops   ${dropped === "" ? "none" : dropped}`,
  ];
}

function overheadText(overhead: PortalStatus["overhead"]): string {
  return Object.entries(overhead)
    .map(([what, octets]) => `${what} ${octets}`)
    .join(", ");
}

/** @param octetsPerSecond - shown in bits, as links are sold */
export function rateText(octetsPerSecond: number): string {
  return `${scaled(octetsPerSecond * 8)}bit/s`;
}

export function sizeText(octets: number): string {
  return `${scaled(octets)}B`;
}

export function durationText(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86_400).toFixed(1)} d`;
}

function countText(packets: number): string {
  return packets === 1 ? "1 packet" : `${packets} packets`;
}

/** Three digits and an SI prefix: `12.3 M`. */
function scaled(value: number): string {
  const prefixes = ["", "k", "M", "G", "T"];
  let rest = value;
  let index = 0;
  while (rest >= 999.5 && index < prefixes.length - 1) {
    rest /= 1000;
    index += 1;
  }
  const digits = index === 0 || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return `${rest.toFixed(digits)} ${prefixes[index]}`;
}
