/**
 * The addon's whole surface: batches of slots between the kernel and one arena, sealed and opened
 * on the way. It moves octets and decides nothing; Linux only. Implemented in `*.cc` beside this
 * file, built by `scripts/build-native` into `build/mpfwd.node`.
 *
 * Every call checks its arguments and throws a TypeError before it touches memory. A system call
 * that fails throws an Error with `code` (`"EPERM"`), `errno` and `syscall`, except on the data path,
 * where failures are counted; a full table is such an Error too (EMFILE, ENOSPC). A batch is not
 * longer than the arena has slots. Removing a context that is not there does nothing, a handle that
 * is not open is a TypeError. Octets from the network never throw: what is refused is counted under
 * its reason in `arena.counters` (`COUNTER`), and its slot stays free.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { MpfwdError } from "../core/errors.ts";
import type { Transport } from "../core/transport.ts";
import type { MachineView } from "./machine.ts";

export { COUNTER } from "./counters.ts";
export { CHANGE, type Device } from "./machine.ts";

/** Names an open TUN, socket or monitor, 1 and up. */
export type Handle = number;

/** `ready` events, as bits. */
export const READY = { readable: 1, writable: 2, error: 4 } as const;
/** In the ready list: the timer set by `setTimer` has expired. */
export const TIMER_HANDLE = 0;

/**
 * `arena.info`: the packet's source is not the path of the transmit context tied to its link for the
 * packet's transport: another remote end, or another socket. Never set while that context has no path.
 */
export const INFO_SOURCE_DIFFERS = 0x100;
/** `arena.info`: shifted right by this, the hop limit that the packet arrived with; 0: unknown. */
export const INFO_HOP_LIMIT_SHIFT = 16;

export const TUN_OFFLOAD = { checksum: 1, tso4: 2, tso6: 4, uso: 8 } as const;

export interface TunOptions {
  /** 1..15 characters. The device disappears when its handle is closed or the process ends. */
  readonly name: string;
  /** Ask for IFF_VNET_HDR and segmentation offloads. */
  readonly offload: boolean;
  /** Packets and super-packets that wait in it for us, 1..65536; default: the kernel's (500). */
  readonly queuePackets?: number;
}

export interface OpenedTun {
  readonly handle: Handle;
  /** As the kernel named it. */
  readonly name: string;
  /** Bits of TUN_OFFLOAD that the kernel granted; 0: plain packets. */
  readonly offloads: number;
}

export interface SocketOptions {
  readonly kind: Transport;
  readonly family: 4 | 6;
  /** IP protocol of a raw socket, 1..254. */
  readonly protocol?: number;
  /** Local UDP or TCP port; 0 or absent: any. */
  readonly port?: number;
  /** Local address to bind to, text. */
  readonly source?: string;
  /** SO_BINDTODEVICE. */
  readonly device?: string;
  /** SO_MARK. */
  readonly mark?: number;
  /** IP_TTL or IPV6_UNICAST_HOPS, 1..255. */
  readonly hopLimit?: number;
  /**
   * SO_RCVBUFFORCE and SO_SNDBUFFORCE (falls back to SO_RCVBUF and SO_SNDBUF); octets, default 8 MiB. TCP:
   * absent, the kernel sizes both as the connection needs.
   */
  readonly bufferBytes?: number;
  /** UDP_SEGMENT and UDP_GRO; default true. Raw and TCP: no meaning. */
  readonly segmentation?: boolean;
  /** Tells in `arena.info` the hop limit that a packet arrived with; default false, raw IPv4 always does. */
  readonly arrivalHopLimit?: boolean;
}

export interface TapOptions {
  /** Octets of a packet that are kept, from its IP header on, 1..65535. */
  readonly snapOctets: number;
  /** Only messages that name one of these link ids (octets 1..3 of the preamble, 24 bits), at most 256; absent: all. */
  readonly links?: readonly number[];
}

/** Cipher suites of DATA messages. */
export const SUITE = { hmacSha256: 0, aes128Gcm: 1 } as const;

/** 32-octet keys, copied in and wiped when the context is removed. Absent: the class is refused. */
export interface ContextKeys {
  /** SUITE of DATA; other classes always carry HMAC-SHA256 truncated to 16 octets. */
  readonly suite: number;
  /** Octets of a DATA tag: 8, 10, 12 or 16 (16 for aes128Gcm). */
  readonly dataTag: number;
  /** 0..255: the link number in the AES-128-GCM nonce. */
  readonly linkNumber: number;
  readonly data?: Uint8Array;
  /** FEEDBACK and CONTROL. */
  readonly control?: Uint8Array;
  /** ATTACH, CHALLENGE and RESPONSE. */
  readonly attach?: Uint8Array;
  /** RESP and RETRY: no replay window, upper half of the sequence number 0. */
  readonly handshake?: Uint8Array;
}

export interface ReceiveContext extends ContextKeys {
  /** Given back in `arena.context`. */
  readonly context: number;
  /**
   * Transmit contexts, one a transport, all with the same peer: a packet's source is compared with the path
   * of the one for the transport it came by. 0: none.
   */
  readonly transmits: readonly [raw: number, udp: number, tcp: number];
  /** Sequence number below which the DATA replay window starts; default 0. */
  readonly dataSeq?: number;
  /** The same for FEEDBACK and CONTROL. */
  readonly controlSeq?: number;
}

export interface SocketError {
  /** Errors drained since the last call. */
  readonly count: number;
  /** errno name of the newest, such as "ECONNREFUSED" or "ENOPROTOOPT". */
  readonly code: string;
  /** ICMP type and code, and who sent it; null when the error was local. */
  readonly icmp: { readonly type: number; readonly code: number; readonly from: string } | null;
  /** The offending packet, from our own payload on, as far as it came back (up to 64 octets); absent: nothing. */
  readonly quoted?: Uint8Array;
}

/** A message that names a link of ours and has a bad tag. */
export interface MangledMessage {
  /** The receive context's, 24 bits. */
  readonly linkId: number;
  /** As it arrived, from the preamble to the tag. */
  readonly octets: Uint8Array;
}

/** What a batch could not send. */
export interface SendFailure {
  /** errno name of the newest, such as "EPERM" or "ENOBUFS". */
  readonly code: string;
  readonly packets: number;
  /**
   * The device's queue or memory is full ("ENOBUFS", "ENOMEM"): the packets are the rest that `send` gave back,
   * and no `READY.writable` will say when there is room. Else they were dropped.
   */
  readonly kept: boolean;
}

export interface AcceptedSocket {
  readonly handle: Handle;
  /** Both ends, PATH_OCTETS. */
  readonly path: Uint8Array;
}

/** One arena, its contexts, descriptors and one poll. Not shared between threads. */
export interface Engine extends MachineView {
  /** CLOCK_BOOTTIME in microseconds: monotonic, counts while suspended. */
  nowUs(): number;

  /**
   * Starts to watch. `onReady(count)` is called with `count` pairs [handle, READY bits] in `ready`,
   * level-triggered, from the event loop. `ready` holds at least 2 * 64 entries.
   */
  watch(ready: Int32Array, onReady: (count: number) => void): void;
  /** Looks again without waiting, from inside `onReady`; returns the pairs now in `ready`. */
  watchNow(): number;
  /** Stops watching; the event loop may end. */
  unwatch(): void;
  /** Which READY bits of a handle are watched; readable is on from the start. */
  setInterest(handle: Handle, events: number): void;
  /** One-shot, absolute, on the clock of `nowUs`; Infinity disarms. */
  setTimer(deadlineUs: number): void;

  openTun(options: TunOptions): OpenedTun;
  /**
   * Reads packets until `capacity` slots are filled or the device is empty; super-packets are cut
   * into segments, checksums completed. Slots come from the front of `batch`; returns how many hold
   * a packet now (the rest of the batch is untouched).
   */
  readTun(handle: Handle, batch: Int32Array, capacity: number): number;
  /**
   * Writes the packets of `batch`; neighbouring segments of one TCP flow leave as one super-packet.
   * Returns the packets accepted by the kernel. The slots stay the caller's.
   */
  writeTun(handle: Handle, batch: Int32Array, count: number): number;

  openSocket(options: SocketOptions): Handle;
  /**
   * TCP: starts to connect, once a socket. `READY.writable` says that it is connected, `READY.error` that
   * it failed (`takeErrors` tells why), as does whatever ends the connection later.
   */
  connectSocket(handle: Handle, address: string, port: number): void;
  /** Lets a TCP socket accept connections; `backlog` 1..4096 may wait. */
  listenSocket(handle: Handle, backlog: number): void;
  /**
   * The next connection of a listener, which is readable while there are any; null: no more, or this one
   * was closed and counted, because 192 accepted sockets are open, there are no descriptors left, or the kernel
   * does not watch one more.
   */
  acceptSocket(handle: Handle): AcceptedSocket | null;
  /** Hop limit of what a socket sends from now on, 1..255. */
  setHopLimit(handle: Handle, hops: number): void;
  /** Whether `arena.info` tells the hop limit of packets that arrive from now on, as `arrivalHopLimit`. */
  setArrivalHopLimit(handle: Handle, told: boolean): void;
  /** What the kernel granted of `bufferBytes`, each way: octets, its bookkeeping included (twice what is asked). */
  bufferBytes(handle: Handle): { readonly receive: number; readonly send: number };
  /** The local address and port (0 for raw) a socket is bound to. */
  localAddress(handle: Handle): { readonly address: string; readonly port: number };
  /**
   * Receives messages until `capacity` slots are filled or the socket is empty. Opens each: finds its
   * receive context, verifies its tag, checks its sequence number, decrypts. `batch` holds `capacity`
   * free slots; afterwards the accepted ones are at its front (their packets begin at the preamble,
   * tag removed; `seq`, `context`, `info`, `paths` set), the still free ones behind. TCP: messages are cut
   * out of the stream, in which each has its length in front (2 octets, network byte order, 1..1984);
   * another length ends the connection ("EBADMSG").
   */
  receive(handle: Handle, batch: Int32Array, capacity: number): number;
  /** The same without opening: raw octets behind the IP or UDP header. For tests and other tools. */
  receivePlain(handle: Handle, batch: Int32Array, capacity: number): number;
  /**
   * Seals the packets (preamble first, upper half of the sequence number from `arena.seq`) under the
   * transmit context and sends them along its path. Returns how many were disposed of, from the
   * front: sent, or dropped and counted. Fewer than `count` means the socket is full: keep the rest
   * and watch for `READY.writable`, unless `sendFailure` says that it is the device. Sealing again is harmless. The slots stay the caller's. TCP: full as
   * well until it is connected; what the kernel did not take of a message is kept and written as soon as
   * it does, so that message counts as sent.
   */
  send(transmit: number, batch: Int32Array, count: number): number;
  /**
   * What went wrong in the latest `send` or `sendPlain`: packets were dropped (`COUNTER.sendFailed` has grown), or kept for
   * a device that is busy; null: nothing, or the socket is full.
   */
  sendFailure(): SendFailure | null;
  /** Sends one message as it is; `path` null on a connected socket. False: not sent (counted). */
  sendPlain(handle: Handle, slot: number, path: Uint8Array | null): boolean;
  /**
   * Drains the error queue and SO_ERROR (at most 1024 errors); null when there was none. Errors are
   * level-triggered: until they are taken, `READY.error` comes again. "EMSGSIZE" without ICMP is a
   * packet of ours longer than the device takes. A TUN says "EBADFD" after it was deleted, and goes
   * on saying so until it is closed. So does a TCP socket whose connection failed ("ECONNREFUSED") or whose
   * peer closed it ("EOF", after the last message was received): `receive` before `takeErrors`.
   */
  takeErrors(handle: Handle): SocketError | null;
  /**
   * The same errors one by one, oldest first, at most `max` (1..1024) of them, each with a count of 1; what
   * is left comes next time. For tracing, where each belongs to another packet.
   */
  takeErrorList(handle: Handle, max: number): SocketError[];
  /** From now on keeps the newest mangled message, or forgets it. */
  keepMangled(keep: boolean): void;
  /** Gives the newest mangled message away; null when there was none since the last call. */
  takeMangled(): MangledMessage | null;
  close(handle: Handle): void;

  /** Transmit contexts are numbered 1 and up; a removed one's number is given again. */
  addTransmit(keys: ContextKeys): number;
  /** Where a transmit context sends; `path` null on a connected socket. */
  setPath(transmit: number, socket: Handle, path: Uint8Array | null): void;
  /**
   * DSCP and ECN, 0..255, of every packet sent under a transmit context from now on, whatever its
   * path; 0 at first. Of the context, not of the socket, which others may share.
   */
  setTrafficClass(transmit: number, trafficClass: number): void;
  removeTransmit(transmit: number): void;
  /** `linkId`: 24 bits, not yet in use. Windows start empty. */
  addReceive(linkId: number, context: ReceiveContext): void;
  removeReceive(linkId: number): void;
  /** INIT messages of this 8-octet client id are opened with this 32-octet key. */
  addClient(clientId: Uint8Array, mac1Key: Uint8Array, context: number): void;
  removeClient(clientId: Uint8Array): void;
  /** A RESET that names this link id must carry this 16-octet token. */
  addReset(linkId: number, token: Uint8Array, context: number): void;
  removeReset(linkId: number): void;

  /**
   * Begins to capture, anew, every outer packet that is sent or received, accepted or refused; null ends it and
   * forgets what was not read. Records are pcap's with nanoseconds (LINKTYPE_RAW, this machine's byte order), in a
   * ring of 8 MiB; what does not fit is counted (`COUNTER.tapMissed`). Headers that the kernel keeps to
   * itself are written anew: true addresses, ports, DSCP and ECN, the hop limit of what is sent, and of what
   * is received where its socket tells it, else 0. TCP: one record a message, with its length in front.
   */
  tap(options: TapOptions | null): void;
  /** Moves whole records, oldest first, to `into` (4096 octets or more); returns how many octets that were. */
  readTap(into: Uint8Array): number;

  /** Closes every descriptor, wipes every key. The engine is unusable afterwards. */
  destroy(): void;
}

export interface Native {
  /** `memory` as laid out by `Arena`; throws when the two layouts differ. */
  createEngine(memory: ArrayBuffer, slotCount: number): Engine;
  /** HMAC-SHA256 truncated, as sealing computes it; for test vectors and benchmarks. */
  hmac(key: Uint8Array, message: Uint8Array, octets: number): Uint8Array;
  /**
   * Tags of at most 256 packets, computed several at a time as on the data path; null for each that
   * would be tagged by itself, and null for all where this node cannot do it. For tests and benchmarks.
   */
  tagBatch(packets: Uint8Array[], key: Uint8Array, upper: number): (Uint8Array | null)[] | null;
  /**
   * What `readTun` makes of one read: `superPacket` is a virtio-net header (10 octets, native byte
   * order) and a packet; null when it would be refused. For tests and fuzzing.
   */
  segment(superPacket: Uint8Array): Uint8Array[] | null;
  /**
   * What `writeTun` would write: at most 256 packets, each at most PACKET_OCTETS_MAX, joined to
   * super-packets with a virtio-net header in front. For tests and fuzzing.
   */
  coalesce(packets: Uint8Array[]): Uint8Array[];
}

/** Both for compiled code (`dist/src/native`) and for sources run as they are (`src/native`). */
const CANDIDATES = ["../../../build/mpfwd.node", "../../build/mpfwd.node"];

/** @throws MpfwdError ERR_ADDON_MISSING with the command that builds it */
export function loadNative(): Native {
  const require = createRequire(import.meta.url);
  const paths = CANDIDATES.map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const path = process.env["MPFWD_ADDON"] ?? paths.find((candidate) => existsSync(candidate));
  try {
    return require(path ?? (paths[0] as string)) as Native;
  } catch (cause) {
    const message = "the native addon does not load; build it with: npm run build";
    throw new MpfwdError("ERR_ADDON_MISSING", message, cause);
  }
}
