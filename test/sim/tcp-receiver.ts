/**
 * The receiving end of a TCP model: delayed acknowledgements over batches merged as GRO does, SACK and
 * DSACK blocks, a window that grows with what is read, ECN echo. Follows Linux where the RFCs leave room.
 */
import type { Arena } from "../../src/core/arena.ts";
import { MS, NEVER, type TimeUs } from "../../src/core/time.ts";
import type { Endpoint, Outlet } from "./ends.ts";
import type { EventQueue, Process } from "./events.ts";
import { type Flow, takeSlot } from "./packets.ts";
import { mbit, Series } from "./record.ts";
import {
  FLAG,
  HEADER_OCTETS,
  newSegment,
  readSegment,
  type Segment,
  writeSegment,
} from "./tcp-segment.ts";

const DELAYED_ACK_US = 40 * MS;
/** Segments acknowledged one by one at the start of a connection. */
const QUICK_ACKS = 16;
/** Segments that GRO merges into one. */
const MERGE_MAX = 44;
const BLOCKS_KEPT = 4;
const WINDOW_INITIAL_BYTES = 65_536;

export class TcpReceiver implements Endpoint, Process {
  /** The first segment not yet received. */
  next = 0;
  /** Since the mark: segments that came first after a later one, and that came again. */
  reordered = 0;
  duplicates = 0;
  bytes = 0;
  /** Octets read by the application, each 10 ms. */
  readonly received = new Series();
  onProgress: (nowUs: TimeUs, next: number) => void = () => {};
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #outlet: Outlet;
  readonly #flow: Flow;
  readonly #mss: number;
  readonly #windowMax: number;
  readonly #in: Segment = newSegment();
  readonly #out: Segment = newSegment();
  /** One octet a segment: received beyond `next`. */
  readonly #held: Uint8Array;
  /** Ranges beyond `next`, the latest touched first. */
  #blocks: { from: number; to: number }[] = [];
  #duplicate: { from: number; to: number } | undefined;
  #merged = 0;
  #mergedFrom = 0;
  #mergedSentUs = 0;
  #unacked = 0;
  #acks = 0;
  #lastAck = 0;
  #echoUs = 0;
  #echoMark = false;
  #window: number;
  #roundUs: TimeUs = 0;
  #roundNext = 0;
  #roundSegments = 0;
  #rttUs = 100 * MS;
  #sinceUs: TimeUs = 0;
  #highest = -1;

  constructor(
    arena: Arena,
    events: EventQueue,
    outlet: Outlet,
    flow: Flow,
    options: { readonly mss: number; readonly windowBytes: number },
  ) {
    this.#arena = arena;
    this.#events = events;
    this.#id = events.register(this);
    this.#outlet = outlet;
    this.#flow = flow;
    this.#mss = options.mss;
    this.#windowMax = Math.floor(options.windowBytes / options.mss);
    this.#window = Math.min(Math.floor(WINDOW_INITIAL_BYTES / options.mss), this.#windowMax);
    this.#held = new Uint8Array(2 ** Math.ceil(Math.log2(this.#windowMax + 64)));
  }

  /** Octets of payload since the mark. */
  goodputMbit(): number {
    return mbit(this.bytes, this.#events.nowUs - this.#sinceUs);
  }

  mark(nowUs: TimeUs): void {
    this.bytes = 0;
    this.reordered = 0;
    this.duplicates = 0;
    this.#sinceUs = nowUs;
  }

  receive(nowUs: TimeUs, slot: number): void {
    const segment = this.#in;
    readSegment(this.#arena, slot, segment);
    if ((segment.flags & FLAG.cwr) !== 0) this.#echoMark = false;
    if (segment.marked) this.#echoMark = true;
    if ((segment.flags & FLAG.syn) !== 0) {
      this.#echoUs = segment.sentUs;
      this.#acknowledge(nowUs, FLAG.syn);
      return;
    }
    if (segment.echoUs > 0) this.#noteRtt((nowUs % 0x1_0000_0000) - segment.echoUs);
    const follows = this.#merged > 0 && segment.seq === this.#mergedFrom + this.#merged;
    if (!follows || this.#merged === MERGE_MAX) this.#flush(nowUs);
    if (this.#merged === 0) {
      this.#mergedFrom = segment.seq;
      this.#mergedSentUs = segment.sentUs;
    }
    this.#merged += 1;
  }

  endBatch(nowUs: TimeUs): void {
    this.#flush(nowUs);
  }

  wake(nowUs: TimeUs): void {
    if (this.#unacked > 0) this.#acknowledge(nowUs, 0);
  }

  /** Takes in the merged segments as one. */
  #flush(nowUs: TimeUs): void {
    const count = this.#merged;
    if (count === 0) return;
    this.#merged = 0;
    const from = this.#mergedFrom;
    const to = from + count;
    // RFC 7323 section 4.3: echo the time of what moved the left edge.
    if (from <= this.#lastAck && to > this.#lastAck) this.#echoUs = this.#mergedSentUs;
    const before = this.next;
    const ordered = from === before && this.#blocks.length === 0;
    if (!this.#store(from, to)) this.#duplicate = { from, to };
    this.#advance(nowUs);
    this.#unacked += count;
    const read = this.next - before;
    if (read > 0) this.#noteRead(nowUs, read);
    if (!ordered || this.#unacked >= 2 || this.#acks < QUICK_ACKS || this.#echoMark) {
      this.#acknowledge(nowUs, 0);
    } else this.#events.setEarlier(this.#id, nowUs + DELAYED_ACK_US);
  }

  /** False when nothing of it is new. */
  #store(from: number, to: number): boolean {
    const mask = this.#held.length - 1;
    let fresh = false;
    for (let seq = from; seq < to; seq += 1) {
      if (seq < this.next || seq >= this.next + this.#held.length || this.#held[seq & mask] === 1) {
        this.duplicates += 1;
        continue;
      }
      fresh = true;
      if (seq < this.#highest) this.reordered += 1;
      else this.#highest = seq;
      this.#held[seq & mask] = 1;
    }
    if (fresh) this.#noteBlock(from, to);
    return fresh;
  }

  /** Joins the range with those it touches, and puts it in front. */
  #noteBlock(from: number, to: number): void {
    const joined = { from, to };
    const others = [];
    for (const block of this.#blocks) {
      if (block.to < joined.from || block.from > joined.to) others.push(block);
      else {
        joined.from = Math.min(joined.from, block.from);
        joined.to = Math.max(joined.to, block.to);
      }
    }
    this.#blocks = [joined, ...others].slice(0, BLOCKS_KEPT);
  }

  #advance(nowUs: TimeUs): void {
    const mask = this.#held.length - 1;
    const before = this.next;
    while (this.#held[this.next & mask] === 1) {
      this.#held[this.next & mask] = 0;
      this.next += 1;
    }
    if (this.next === before) return;
    this.bytes += (this.next - before) * this.#mss;
    this.received.add(nowUs, (this.next - before) * this.#mss);
    this.#blocks = this.#blocks.filter((block) => block.to > this.next);
    this.onProgress(nowUs, this.next);
  }

  #noteRtt(us: number): void {
    if (us > 0 && us < 10_000 * MS) this.#rttUs += (us - this.#rttUs) / 8;
  }

  /** Receive window by dynamic right-sizing: twice what was read in the last round trip, and its growth. */
  #noteRead(nowUs: TimeUs, _segments: number): void {
    if (nowUs - this.#roundUs < this.#rttUs) return;
    const read = this.next - this.#roundNext;
    const before = Math.max(this.#roundSegments, 10);
    if (read > this.#roundSegments) {
      const wanted = 2 * read + 16;
      const growth = Math.max(0, (2 * wanted * (read - before)) / before);
      this.#window = Math.max(this.#window, Math.min(Math.ceil(wanted + growth), this.#windowMax));
      this.#roundSegments = read;
    }
    this.#roundUs = nowUs;
    this.#roundNext = this.next;
  }

  #acknowledge(nowUs: TimeUs, flags: number): void {
    const slot = takeSlot(this.#arena);
    const out = this.#out;
    out.ack = this.next;
    out.flags = FLAG.ack | flags | (this.#echoMark ? FLAG.ece : 0);
    out.window = this.#window;
    out.sentUs = nowUs;
    out.echoUs = this.#echoUs;
    this.#writeBlocks(out);
    writeSegment(this.#arena, slot, this.#flow, out, 0);
    this.#acks += 1;
    this.#unacked = 0;
    this.#lastAck = this.next;
    this.#duplicate = undefined;
    this.#events.set(this.#id, NEVER);
    this.#outlet.send(nowUs, slot);
  }

  #writeBlocks(out: Segment): void {
    out.blockCount = 0;
    const duplicate = this.#duplicate;
    if (duplicate !== undefined) this.#writeBlock(out, duplicate);
    for (const block of this.#blocks) this.#writeBlock(out, block);
  }

  #writeBlock(out: Segment, block: { readonly from: number; readonly to: number }): void {
    if (out.blockCount === out.from.length) return;
    out.from[out.blockCount] = block.from;
    out.to[out.blockCount] = block.to;
    out.blockCount += 1;
  }
}

/** Octets of a full inner packet give this much payload. */
export function payloadOf(packetBytes: number): number {
  return packetBytes - HEADER_OCTETS;
}
