/**
 * What somebody sends who has no key: messages of every type for a Remote Portal, by raw IP and UDP, from a thousand
 * and more forged sources; with what he has seen on the wire, and without. Seeded.
 */
import type { SeededRandom } from "../../src/core/random.ts";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../../src/portal/config.ts";
import { encodeInit, initIdentity } from "../../src/wire/handshake.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { ipHeaderLength } from "../capture.ts";
import { ADDRESS } from "../topology/names.ts";
import { ipPacket, udpDatagram } from "../topology/packets.ts";

/** Of all forged sources: for benchmarks, RFC 2544. */
export const STRANGERS = "198.18.0.0/15";
const PROTOCOL_UDP = 17;
const LONGEST = 1_000;
const SHORTEST = 24;
const TAG_OCTETS = 16;
const NOISE_OCTETS = 108;
const CLIENT_ID_OCTETS = 8;
const LINK_ID_MAX = 0xff_ffff;
const SEEN_MAX = 64;

export interface Known {
  /** As the client says it in every INIT. */
  readonly clientId: Uint8Array;
  /** Outer packets of the client's, IP header in front: raw or UDP. */
  readonly packets: readonly Buffer[];
}

type Maker = (random: SeededRandom) => Uint8Array;

/** `count` packets from as many sources: every kind equally often, raw and UDP in turn. */
export function strangersPackets(count: number, random: SeededRandom, known: Known): Buffer[] {
  const makers = kinds(known);
  return Array.from({ length: count }, (_, index) => {
    const make = makers[(index >> 1) % makers.length] as Maker;
    return forged(index, make(random), index % 2 === 0, DEFAULT_PROTOCOL, DEFAULT_PORT);
  });
}

/** The same to numbers that nobody listens on: what a machine keeps of strangers when no guard says otherwise. */
export function elsewhere(count: number, random: SeededRandom): Buffer[] {
  return Array.from({ length: count }, (_, index) =>
    forged(index, random.octets(SHORTEST), true, DEFAULT_PROTOCOL + 1, DEFAULT_PORT + 1),
  );
}

function forged(
  index: number,
  message: Uint8Array,
  raw: boolean,
  protocol: number,
  port: number,
): Buffer {
  const from = `198.${18 + ((index >> 16) & 1)}.${(index >> 8) & 255}.${index & 255}`;
  const to = ADDRESS.remote(4);
  if (raw) return ipPacket({ from, to, protocol }, message);
  return ipPacket({ from, to, protocol: PROTOCOL_UDP }, udpDatagram(port, port, message));
}

function kinds({ clientId, packets }: Known): readonly Maker[] {
  const seen = packets.slice(-SEEN_MAX).map(messageOf);
  const one = (random: SeededRandom) => seen[random.uint32() % seen.length] as Uint8Array;
  const heard: readonly Maker[] = [
    // On the path: links that there are, and the tag of another content; and what was sent before.
    (random) => {
      const message = Uint8Array.from(one(random));
      message.set(random.octets(1), message.length - 1);
      return message;
    },
    one,
  ];
  return [
    (random) => random.octets(lengthOf(random)),
    ...[TYPE.data, TYPE.feedback, TYPE.control, TYPE.attach, TYPE.response].map(unknownLink),
    (random) => wrongInit(random, random.octets(CLIENT_ID_OCTETS)),
    (random) => wrongInit(random, clientId),
    ...(seen.length === 0 ? [] : heard),
  ];
}

function lengthOf(random: SeededRandom): number {
  return SHORTEST + (random.uint32() % (LONGEST - SHORTEST));
}

function unknownLink(type: number): Maker {
  return (random) => {
    const message = random.octets(lengthOf(random));
    message[0] = (type << 4) | (random.uint32() & 15);
    return message;
  };
}

/** A tag and a first Noise message under any other key look alike: octets at random. */
function wrongInit(random: SeededRandom, clientId: Uint8Array): Uint8Array {
  const init = encodeInit({
    replyId: random.uint32() & LINK_ID_MAX,
    identity: initIdentity(clientId),
    noise: random.octets(NOISE_OCTETS),
    cookie: new Uint8Array(TAG_OCTETS),
  });
  return Buffer.concat([init, random.octets(TAG_OCTETS)]);
}

function messageOf(packet: Buffer): Uint8Array {
  const header = ipHeaderLength(packet);
  const inUdp = packet.readUInt8(9) === PROTOCOL_UDP;
  return packet.subarray(header + (inUdp ? 8 : 0));
}
