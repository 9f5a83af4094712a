/**
 * How the addon opens and seals messages, in a few lines of TypeScript: the same tables, tags,
 * sequence rules and refusals, without sockets. What it accepts, the addon accepts.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { ContextKeys } from "../../src/session/effects.ts";
import { messageTag } from "../../src/session/seal.ts";
import { readLinkId } from "../../src/wire/message.ts";
import { SUITE } from "../../src/wire/offer.ts";
import { dataOffset, TYPE } from "../../src/wire/preamble.ts";

const WINDOW = 8192;
const TWO_32 = 2 ** 32;

export interface Opened {
  readonly type: number;
  readonly octets: Uint8Array;
  readonly seq: number;
  readonly context: number;
}

export type Refusal = "truncated" | "badType" | "badIndex" | "badTag" | "replayed" | "tooOld";

class Window {
  #next: number;
  readonly #first: number;
  readonly #seen = new Set<number>();

  constructor(first: number) {
    this.#first = first;
    this.#next = first;
  }

  rebuild(low: number): number {
    const highest = Math.max(0, this.#next - 1);
    const delta = (low - (highest % TWO_32)) | 0;
    const near = highest + delta;
    return near < 0 ? near + TWO_32 : near;
  }

  accept(seq: number): Refusal | null {
    if (seq < this.#first || seq + WINDOW < this.#next) return "tooOld";
    if (this.#seen.has(seq)) return "replayed";
    this.#seen.add(seq);
    this.#next = Math.max(this.#next, seq + 1);
    return null;
  }
}

interface Receive {
  readonly keys: ContextKeys;
  readonly context: number;
  readonly data: Window;
  readonly control: Window;
  readonly attach: Window;
}

export class AddonModel {
  readonly receives = new Map<number, Receive>();
  readonly clients = new Map<string, { key: Uint8Array; context: number }>();
  readonly resets = new Map<number, { token: Uint8Array; context: number }>();

  addReceive(id: number, context: number, keys: ContextKeys, dataSeq = 0, controlSeq = 0): void {
    if (this.receives.has(id)) throw new TypeError(`link id ${id} is in use`);
    const data = new Window(dataSeq);
    const control = new Window(controlSeq);
    this.receives.set(id, { keys, context, data, control, attach: new Window(0) });
  }

  removeReceive(id: number): void {
    if (!this.receives.delete(id)) throw new TypeError(`link id ${id} is not in use`);
  }

  open(message: Uint8Array): Opened | Refusal {
    if (message.length < 16) return "truncated";
    const type = (message[0] as number) >> 4;
    if (type === 0 || type > TYPE.reset) return "badType";
    if (type === TYPE.init) return this.#openInit(message);
    if (type === TYPE.reset) return this.#openReset(message);
    const receive = this.receives.get(readLinkId(message));
    if (receive === undefined) return "badIndex";
    return type === TYPE.data ? openData(receive, message) : openTagged(receive, type, message);
  }

  #openInit(message: Uint8Array): Opened | Refusal {
    if (message.length < 32) return "truncated";
    const client = this.clients.get(hex(message.subarray(8, 16)));
    if (client === undefined) return "badIndex";
    const octets = message.subarray(0, -16);
    if (!tagFits(client.key, 0, octets, message.subarray(-16))) return "badTag";
    return { type: TYPE.init, octets, seq: lowSeq(message), context: client.context };
  }

  #openReset(message: Uint8Array): Opened | Refusal {
    if (message.length < 24) return "truncated";
    const reset = this.resets.get(readLinkId(message));
    if (reset === undefined) return "badIndex";
    if (hex(message.subarray(-16)) !== hex(reset.token)) return "badTag";
    const octets = message.subarray(0, -16);
    return { type: TYPE.reset, octets, seq: lowSeq(message), context: reset.context };
  }
}

function openTagged(receive: Receive, type: number, message: Uint8Array): Opened | Refusal {
  const { keys, context } = receive;
  const isControl = type === TYPE.control || type === TYPE.feedback;
  const isReply = type === TYPE.resp || type === TYPE.retry;
  const key = isReply ? keys.handshake : isControl ? keys.control : keys.attach;
  if (key === undefined) return "badIndex";
  if (message.length < 24) return "truncated";
  const window = isReply ? null : isControl ? receive.control : receive.attach;
  const seq = window === null ? lowSeq(message) : window.rebuild(lowSeq(message));
  const octets = message.subarray(0, -16);
  if (!tagFits(key, seq, octets, message.subarray(-16))) return "badTag";
  const refusal = window?.accept(seq) ?? null;
  return refusal ?? { type, octets, seq, context };
}

function openData(receive: Receive, message: Uint8Array): Opened | Refusal {
  const { keys, context, data } = receive;
  if (keys.data === undefined) return "badIndex";
  const header = dataOffset((message[0] as number) & 15);
  const tagOctets = keys.suite === SUITE.aes128Gcm ? 16 : keys.dataTag;
  if (message.length < header + tagOctets) return "truncated";
  const seq = data.rebuild(lowSeq(message));
  const octets = message.subarray(0, message.length - tagOctets);
  const tag = message.subarray(message.length - tagOctets);
  let plain = octets;
  if (keys.suite === SUITE.aes128Gcm) {
    const nonce = gcmNonce(keys.linkNumber, seq);
    const decipher = createDecipheriv("aes-128-gcm", keys.data.subarray(0, 16), nonce);
    decipher.setAAD(message.subarray(0, header)).setAuthTag(tag);
    const payload = decipher.update(octets.subarray(header));
    try {
      decipher.final();
    } catch {
      return "badTag";
    }
    plain = Buffer.concat([octets.subarray(0, header), payload]);
  } else if (!tagFits(keys.data, seq, octets, tag)) return "badTag";
  return data.accept(seq) ?? { type: TYPE.data, octets: plain, seq, context };
}

/** Seals a message of class control or data. */
export function sealNatively(keys: ContextKeys, seq: number, message: Uint8Array): Uint8Array {
  if ((message[0] as number) >> 4 !== TYPE.data) {
    const key = keys.control as Uint8Array;
    return Buffer.concat([message, messageTag(key, seq, message, 16)]);
  }
  const key = keys.data as Uint8Array;
  if (keys.suite !== SUITE.aes128Gcm) {
    return Buffer.concat([message, messageTag(key, seq, message, keys.dataTag)]);
  }
  const header = dataOffset((message[0] as number) & 15);
  const nonce = gcmNonce(keys.linkNumber, seq);
  const cipher = createCipheriv("aes-128-gcm", key.subarray(0, 16), nonce);
  cipher.setAAD(message.subarray(0, header));
  const sealed = Buffer.concat([cipher.update(message.subarray(header)), cipher.final()]);
  return Buffer.concat([message.subarray(0, header), sealed, cipher.getAuthTag()]);
}

function gcmNonce(linkNumber: number, seq: number): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(linkNumber);
  nonce.writeBigUInt64BE(BigInt(seq), 4);
  return nonce;
}

function tagFits(key: Uint8Array, seq: number, octets: Uint8Array, tag: Uint8Array): boolean {
  return hex(messageTag(key, seq, octets, tag.length)) === hex(tag);
}

function lowSeq(message: Uint8Array): number {
  return Buffer.from(message.buffer, message.byteOffset).readUInt32BE(4);
}

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}
