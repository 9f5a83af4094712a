/**
 * An independent and slow idea of IP, TCP and UDP for the tests: builds packets, checks every
 * length and checksum of one, cuts a super-packet by hand.
 */
import assert from "node:assert/strict";

export const TCP = 6;
export const UDP = 17;
export const FLAG = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ece: 64,
  cwr: 128,
} as const;

export interface Segment {
  readonly v6: boolean;
  readonly tcp: boolean;
  readonly payload: Uint8Array;
  readonly flow?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly options?: Uint8Array;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly trafficClass?: number;
  readonly hopLimit?: number;
}

export interface Packet {
  readonly octets: Uint8Array;
  readonly l4At: number;
  readonly headers: number;
}

/** A packet with right checksums; `partial` leaves the pseudo-header's sum, as offload does. */
export function build(segment: Segment, partial = false): Packet {
  const l4 = segment.tcp ? tcpHeader(segment) : udpHeader(segment);
  const l4Octets = l4.length + segment.payload.length;
  const header = segment.v6 ? ipv6Header(segment, l4Octets) : ipv4Header(segment, l4Octets);
  const octets = Uint8Array.from([...header, ...l4, ...segment.payload]);
  const l4At = header.length;
  const view = new DataView(octets.buffer);
  const field = l4At + (segment.tcp ? 16 : 6);
  const pseudo = pseudoSum(octets, l4Octets);
  const sum = partial ? fold(pseudo) : ~fold(pseudo + sumOf(octets.subarray(l4At))) & 0xffff;
  view.setUint16(field, !partial && !segment.tcp && sum === 0 ? 0xffff : sum);
  return { octets, l4At, headers: l4At + l4.length };
}

function ipv4Header(segment: Segment, l4Octets: number): Uint8Array {
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  header[0] = 0x45;
  header[1] = segment.trafficClass ?? 0;
  view.setUint16(2, 20 + l4Octets);
  view.setUint16(4, segment.id ?? 0);
  view.setUint16(6, segment.dontFragment === false ? 0 : 0x4000);
  header[8] = segment.hopLimit ?? 64;
  header[9] = segment.tcp ? TCP : UDP;
  header.set([10, 0, 0, segment.flow ?? 1], 12);
  header.set([10, 0, 1, 1], 16);
  view.setUint16(10, ~fold(sumOf(header)) & 0xffff);
  return header;
}

function ipv6Header(segment: Segment, l4Octets: number): Uint8Array {
  const header = new Uint8Array(40);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x6000_0000 + ((segment.trafficClass ?? 0) << 20));
  view.setUint16(4, l4Octets);
  header[6] = segment.tcp ? TCP : UDP;
  header[7] = segment.hopLimit ?? 64;
  header.set([0xfd, 1], 8);
  header[23] = segment.flow ?? 1;
  header.set([0xfd, 2], 24);
  header[39] = 1;
  return header;
}

function tcpHeader(segment: Segment): Uint8Array {
  const options = segment.options ?? new Uint8Array(0);
  const header = new Uint8Array(20 + options.length);
  const view = new DataView(header.buffer);
  view.setUint16(0, 1000 + (segment.flow ?? 1));
  view.setUint16(2, 80);
  view.setUint32(4, segment.seq ?? 0);
  view.setUint32(8, segment.ack ?? 0);
  header[12] = ((20 + options.length) / 4) << 4;
  header[13] = segment.flags ?? FLAG.ack;
  view.setUint16(14, segment.window ?? 500);
  header.set(options, 20);
  return header;
}

function udpHeader(segment: Segment): Uint8Array {
  const header = new Uint8Array(8);
  const view = new DataView(header.buffer);
  view.setUint16(0, 1000 + (segment.flow ?? 1));
  view.setUint16(2, 443);
  view.setUint16(4, 8 + segment.payload.length);
  return header;
}

function pseudoSum(octets: Uint8Array, l4Octets: number): number {
  const v6 = (octets[0] as number) >> 4 === 6;
  const addresses = v6 ? octets.subarray(8, 40) : octets.subarray(12, 20);
  return sumOf(addresses) + (octets[v6 ? 6 : 9] as number) + l4Octets;
}

export function sumOf(octets: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < octets.length; at += 2) {
    sum += ((octets[at] as number) << 8) | (octets[at + 1] ?? 0);
  }
  return sum;
}

export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** Fails unless every length and checksum of the packet is right. */
export function assertSound(octets: Uint8Array): void {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const v6 = (octets[0] as number) >> 4 === 6;
  const l4At = v6 ? 40 : 20;
  const said = v6 ? 40 + view.getUint16(4) : view.getUint16(2);
  assert.equal(said, octets.length, "the IP length field says the packet's length");
  if (!v6) assert.equal(fold(sumOf(octets.subarray(0, 20))), 0xffff, "IPv4 header checksum");
  const sum = pseudoSum(octets, octets.length - l4At) + sumOf(octets.subarray(l4At));
  assert.equal(fold(sum), 0xffff, "transport checksum");
  if (octets[v6 ? 6 : 9] === UDP) assert.equal(view.getUint16(l4At + 4), octets.length - l4At);
}

const GSO_TYPE = { none: 0, tcp4: 1, tcp6: 4, udp: 5, ecn: 0x80 } as const;

/** A virtio-net header and a super-packet, as a TUN gives it. */
export function superPacket(segment: Segment, gsoSize: number): Uint8Array {
  const packet = build(segment, true);
  const header = new Uint8Array(10);
  const view = new DataView(header.buffer);
  const type = segment.tcp ? (segment.v6 ? GSO_TYPE.tcp6 : GSO_TYPE.tcp4) : GSO_TYPE.udp;
  const ecn = segment.tcp && ((segment.flags ?? 0) & FLAG.cwr) !== 0 ? GSO_TYPE.ecn : 0;
  header[0] = 1;
  header[1] = gsoSize === 0 ? GSO_TYPE.none : type | ecn;
  view.setUint16(2, packet.headers, true);
  view.setUint16(4, gsoSize, true);
  view.setUint16(6, packet.l4At, true);
  view.setUint16(8, segment.tcp ? 16 : 6, true);
  return Uint8Array.from([...header, ...packet.octets]);
}

/** The packets a super-packet stands for, built one by one. */
export function cutByHand(segment: Segment, gsoSize: number): Uint8Array[] {
  const packets: Uint8Array[] = [];
  const { payload } = segment;
  const flags = segment.flags ?? FLAG.ack;
  for (let at = 0; at < payload.length; at += gsoSize) {
    const last = at + gsoSize >= payload.length;
    let own = flags;
    if (!last) own &= ~(FLAG.fin | FLAG.psh);
    if (at > 0) own &= ~FLAG.cwr;
    const one: Segment = {
      ...segment,
      payload: payload.subarray(at, at + gsoSize),
      seq: ((segment.seq ?? 0) + at) >>> 0,
      id: ((segment.id ?? 0) + packets.length) & 0xffff,
      flags: own,
    };
    packets.push(build(one).octets);
  }
  return packets;
}
