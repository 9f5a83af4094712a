/**
 * One path to the peer, both directions: its life, window, pacing, flight and receipts. Stamps
 * packets into its outbox; whoever owns the sockets drains that. Knows nothing of other links, of
 * order between packets, of keys.
 *
 * Drive it so: put things in (`send`, `receive`, `acknowledge`, `tick`), then drain `outbox`, then ask
 * `deadlineUs` when to call `tick` again.
 */
import type { AckInfo, CongestionController, LossInfo, SentInfo } from "../cc/controller.ts";
import { Rtt } from "../cc/rtt.ts";
import type { Arena } from "../core/arena.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Feedback } from "../wire/feedback.ts";
import { FLAG, pushOrderedPreamble, pushPreamble, TYPE } from "../wire/preamble.ts";
import { Flight } from "./flight.ts";
import { type Life, type LifeEvent, nextLife, silenceLimitUs } from "./life.ts";
import { Pacer } from "./pacer.ts";
import { FEEDBACK_DELAY_MAX_US, Receipts } from "./receipts.ts";

/** DATA packets an outbox takes before it must be drained; one system call carries as many. */
export const OUTBOX_PACKETS = 128;
/** Room for feedback, probes and CONTROL behind them. */
const OUTBOX_ROOM = OUTBOX_PACKETS + 16;

/** RFC 9002 section 6.1.1; raised when a loss proves spurious, as section 6.1.1 allows. */
const PACKET_THRESHOLD = 3;
const PACKET_THRESHOLD_MAX = 128;

/** An idle link is probed this often while the bond carries traffic, and when nothing flows. */
const PROBE_ACTIVE_US = 500 * MS;
const PROBE_IDLE_US = 15 * SECOND;
/** Traffic within this time counts as flowing. */
const ACTIVE_US = 5 * SECOND;
/** A link that was away for longer starts anew. */
const REJOIN_FRESH_US = 1 * SECOND;

export interface LinkOptions {
  /** 0..15, the same at both ends. */
  readonly number: number;
  readonly name: string;
  readonly arena: Arena;
  readonly controller: CongestionController;
  /** Octets of a full packet on the wire. */
  readonly mssBytes: number;
}

/** Totals since the link was made; octets of inner packets. */
export interface LinkCounters {
  packetsOut: number;
  packetsIn: number;
  bytesOut: number;
  bytesIn: number;
  packetsLost: number;
  spuriousLosses: number;
  probesSent: number;
  feedbackSent: number;
  feedbackReceived: number;
  /** FEEDBACK that acknowledged what was never sent. */
  feedbackInvalid: number;
}

export class Link {
  readonly number: number;
  readonly name: string;
  readonly controller: CongestionController;
  readonly rtt = new Rtt();
  readonly receipts = new Receipts();
  readonly counters: LinkCounters;
  /** Slots stamped and not yet handed to a socket, in order. */
  readonly outbox = new Int32Array(OUTBOX_ROOM);
  outboxCount = 0;
  /** The socket is full: stamp nothing more until it drains. */
  blocked = false;
  /** The link id that the peer chose for what we send here. */
  transmitId = 0;
  /** Octets that carriage adds to a message: outer header, tag. */
  carriageOctets = 0;
  life: Life = { tag: "connecting", sinceUs: 0 };
  /** Sequence number of the next FEEDBACK or CONTROL. */
  controlSeq = 0;
  readonly #arena: Arena;
  readonly #flight = new Flight();
  readonly #pacer: Pacer;
  readonly #mssBytes: number;
  #packetThreshold = PACKET_THRESHOLD;
  #largestAcked = -1;
  /** When the oldest unanswered packet was sent; Infinity when all is answered. */
  #waitingSinceUs: TimeUs = NEVER;
  #lastSentUs: TimeUs = 0;
  #lastActiveUs: TimeUs = Number.NEGATIVE_INFINITY;
  #probeTimeouts = 0;
  /** When the window last refused a packet. */
  #windowLimitedUs: TimeUs = Number.NEGATIVE_INFINITY;
  #ceSeen = 0;
  readonly #sent: SentInfo = { nowUs: 0, bytes: 0, inFlightBytes: 0 };
  readonly #ack: AckInfo = {
    nowUs: 0,
    ackedBytes: 0,
    largestSentUs: 0,
    srttUs: 0,
    latestRttUs: 0,
    minRttUs: 0,
    receivedUs: 0,
    receivedBytes: 0,
    ceCount: 0,
    inFlightBytes: 0,
    appLimited: false,
  };
  readonly #loss: LossInfo = {
    nowUs: 0,
    lostBytes: 0,
    lostPackets: 0,
    largestSentUs: 0,
    persistent: false,
  };

  constructor(options: LinkOptions) {
    this.number = options.number;
    this.name = options.name;
    this.controller = options.controller;
    this.#arena = options.arena;
    this.#mssBytes = options.mssBytes;
    this.#pacer = new Pacer(options.mssBytes);
    this.counters = {
      packetsOut: 0,
      packetsIn: 0,
      bytesOut: 0,
      bytesIn: 0,
      packetsLost: 0,
      spuriousLosses: 0,
      probesSent: 0,
      feedbackSent: 0,
      feedbackReceived: 0,
      feedbackInvalid: 0,
    };
  }

  get up(): boolean {
    return this.life.tag === "up";
  }

  get inFlightBytes(): number {
    return this.#flight.inFlightBytes;
  }

  /** The next DATA sequence number; a new epoch of keys goes on from here. */
  get nextSeq(): number {
    return this.#flight.next;
  }

  /** The peer has answered on this link: it may carry packets. */
  attach(nowUs: TimeUs): void {
    this.#waitingSinceUs = NEVER;
    this.#transition("attached", nowUs);
  }

  detach(nowUs: TimeUs): void {
    this.#flight.loseAll();
    this.#transition("detached", nowUs);
  }

  /** A data packet may be stamped now. */
  mayTake(nowUs: TimeUs, bytes: number): boolean {
    if (this.life.tag !== "up" || this.blocked || this.outboxCount >= OUTBOX_PACKETS) return false;
    const inFlight = this.#flight.inFlightBytes;
    if (inFlight > 0 && inFlight + bytes + this.carriageOctets > this.controller.cwndBytes) {
      this.#windowLimitedUs = nowUs;
      return false;
    }
    return this.#pacer.allows(nowUs) && !this.#flight.full;
  }

  /** Refused by the pacer alone: when it will allow; Infinity when something else is in the way. */
  pacedUntilUs(nowUs: TimeUs): TimeUs {
    if (this.life.tag !== "up" || this.blocked || this.outboxCount >= OUTBOX_PACKETS) return NEVER;
    if (this.#flight.inFlightBytes + this.#mssBytes > this.controller.cwndBytes) return NEVER;
    return this.#pacer.readyUs(nowUs);
  }

  /** When a packet sent now would arrive, as far as is known, microseconds from now. */
  expectedDelayUs(): number {
    const queued = this.#flight.inFlightBytes / this.controller.cwndBytes;
    const { minUs, srttUs } = this.rtt;
    return Math.min(minUs, srttUs) / 2 + queued * srttUs;
  }

  /** Stamps an inner packet into the outbox; order fields when `order` is not negative. */
  send(nowUs: TimeUs, slot: number, flags: number, order: number, prev: number): void {
    const bytes = this.#arena.length[slot] as number;
    this.counters.packetsOut += 1;
    this.counters.bytesOut += bytes;
    this.#lastActiveUs = nowUs;
    this.#stamp(nowUs, slot, flags, order, prev);
  }

  /** Notes a received DATA message of `bytes` octets, `innerBytes` of them the inner packet. */
  receive(
    nowUs: TimeUs,
    seq: number,
    bytes: number,
    innerBytes: number,
    trafficClass: number,
    ackNow: boolean,
  ): void {
    this.receipts.note(nowUs, seq, bytes, trafficClass, ackNow);
    if (innerBytes === 0) return;
    this.counters.packetsIn += 1;
    this.counters.bytesIn += innerBytes;
    this.#lastActiveUs = nowUs;
  }

  /** Takes in the peer's report on what we sent here. `own`: it came over this very link. */
  acknowledge(nowUs: TimeUs, feedback: Feedback, own: boolean): void {
    this.counters.feedbackReceived += 1;
    const largest = this.#fullSeq(feedback.largest);
    const oldest = largest - (feedback.rangeTo[feedback.rangeCount - 1] as number);
    if (largest < 0 || largest >= this.#flight.next || oldest < 0) {
      this.counters.feedbackInvalid += 1;
      return;
    }
    const flight = this.#flight;
    const inFlightBefore = flight.inFlightBytes;
    flight.begin();
    for (let index = 0; index < feedback.rangeCount; index += 1) {
      const from = largest - (feedback.rangeTo[index] as number);
      flight.acknowledge(from, largest - (feedback.rangeFrom[index] as number));
    }
    if (flight.change.packets === 0) return;
    this.#onProgress(nowUs, feedback, own, inFlightBefore);
    if (flight.change.largest > this.#largestAcked) this.#largestAcked = flight.change.largest;
    this.#detectLoss(nowUs);
  }

  /** Does what is due: loss by time, probe timeout, silence, probes. */
  tick(nowUs: TimeUs): void {
    if (this.#flight.lossDeadlineUs <= nowUs) this.#detectLoss(nowUs);
    if (this.life.tag === "up") this.#tickUp(nowUs);
    else if (this.life.tag === "down" && this.life.nextProbeUs <= nowUs) {
      this.#probe(nowUs);
      this.#transition("probed", nowUs);
    }
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    if (this.life.tag === "connecting") return NEVER;
    if (this.life.tag === "down") return this.life.nextProbeUs;
    const probeUs = this.#waitingSinceUs === NEVER ? this.#idleProbeUs(nowUs) : this.#probeUs();
    const silentUs = this.#waitingSinceUs + silenceLimitUs(this.#ptoUs());
    return Math.min(this.#flight.lossDeadlineUs, probeUs, silentUs);
  }

  /** When feedback on what was received here is due. */
  feedbackDeadlineUs(): TimeUs {
    return this.receipts.deadlineUs(this.rtt.srttUs);
  }

  /** Puts a FEEDBACK or CONTROL body into the outbox; false when there is no room for it. */
  sendControl(slot: number, type: number): boolean {
    if (this.outboxCount >= OUTBOX_ROOM || this.life.tag === "connecting") return false;
    pushPreamble(this.#arena, slot, type, 0, this.transmitId, this.controlSeq);
    this.controlSeq += 1;
    if (type === TYPE.feedback) this.counters.feedbackSent += 1;
    this.#push(slot);
    return true;
  }

  /** The first `count` slots of the outbox are gone. */
  drained(count: number): void {
    this.outbox.copyWithin(0, count, this.outboxCount);
    this.outboxCount -= count;
  }

  #stamp(nowUs: TimeUs, slot: number, flags: number, order: number, prev: number): void {
    const flight = this.#flight;
    if (order < 0) pushPreamble(this.#arena, slot, TYPE.data, flags, this.transmitId, flight.next);
    else pushOrderedPreamble(this.#arena, slot, flags, this.transmitId, flight.next, order, prev);
    const bytes = (this.#arena.length[slot] as number) + this.carriageOctets;
    flight.record(nowUs, bytes);
    this.#pacer.spend(bytes);
    this.#lastSentUs = nowUs;
    if (this.#waitingSinceUs === NEVER) this.#waitingSinceUs = nowUs;
    this.#sent.nowUs = nowUs;
    this.#sent.bytes = bytes;
    this.#sent.inFlightBytes = flight.inFlightBytes;
    this.controller.onSent(this.#sent);
    this.#push(slot);
  }

  #push(slot: number): void {
    this.outbox[this.outboxCount] = slot;
    this.outboxCount += 1;
  }

  #onProgress(nowUs: TimeUs, feedback: Feedback, own: boolean, inFlightBefore: number): void {
    const { change } = this.#flight;
    const wasDownUs = this.life.tag === "down" ? nowUs - this.life.sinceUs : 0;
    this.#probeTimeouts = 0;
    if (change.largest > this.#largestAcked && own) {
      this.rtt.sample(Math.max(nowUs - change.sentUs, 1), feedback.ackDelayUs);
    }
    if (change.spurious > 0) this.#onSpurious(nowUs, change.spurious);
    this.#transition("heard", nowUs);
    if (wasDownUs > REJOIN_FRESH_US) this.controller.onPathReset(nowUs, "rejoin");
    this.#reportAck(nowUs, feedback, inFlightBefore);
    this.#flight.settle(nowUs, this.rtt.srttUs);
    this.#waitingSinceUs = this.#flight.empty ? NEVER : nowUs;
    this.#pacer.setRate(nowUs, this.controller.pacingRate);
  }

  #reportAck(nowUs: TimeUs, feedback: Feedback, inFlightBefore: number): void {
    const ack = this.#ack;
    const { change } = this.#flight;
    ack.nowUs = nowUs;
    ack.ackedBytes = change.bytes;
    ack.largestSentUs = change.sentUs;
    ack.srttUs = this.rtt.srttUs;
    ack.latestRttUs = this.rtt.latestUs;
    ack.minRttUs = this.rtt.minUs;
    ack.receivedUs = feedback.receivedUs;
    ack.receivedBytes = feedback.bytes;
    ack.ceCount = (feedback.ceCount - this.#ceSeen) & 0xffff;
    ack.inFlightBytes = inFlightBefore;
    // The window was the limit if it refused a packet within the last round trip.
    const roundUs = 2 * this.rtt.srttUs + FEEDBACK_DELAY_MAX_US;
    ack.appLimited = nowUs - this.#windowLimitedUs > roundUs;
    this.#ceSeen = feedback.ceCount;
    this.controller.onAck(ack);
  }

  #onSpurious(nowUs: TimeUs, count: number): void {
    this.counters.spuriousLosses += count;
    this.#packetThreshold = Math.min(2 * this.#packetThreshold, PACKET_THRESHOLD_MAX);
    this.controller.onSpuriousLoss(nowUs);
  }

  #detectLoss(nowUs: TimeUs): void {
    const flight = this.#flight;
    const delayUs = this.rtt.lossDelayUs();
    flight.detectLoss(nowUs, this.#largestAcked, this.#packetThreshold, delayUs);
    if (flight.change.packets > 0) this.#reportLoss(nowUs, false);
    flight.settle(nowUs, this.rtt.srttUs);
  }

  #reportLoss(nowUs: TimeUs, persistent: boolean): void {
    const loss = this.#loss;
    const { change } = this.#flight;
    this.counters.packetsLost += change.packets;
    loss.nowUs = nowUs;
    loss.lostBytes = change.bytes;
    loss.lostPackets = change.packets;
    loss.largestSentUs = change.sentUs;
    loss.persistent = persistent;
    this.controller.onLoss(loss);
    this.#pacer.setRate(nowUs, this.controller.pacingRate);
  }

  #tickUp(nowUs: TimeUs): void {
    if (this.#waitingSinceUs === NEVER) {
      if (this.#idleProbeUs(nowUs) <= nowUs) this.#probe(nowUs);
      return;
    }
    if (this.#waitingSinceUs + silenceLimitUs(this.#ptoUs()) <= nowUs) {
      this.#goDown(nowUs);
      return;
    }
    if (this.#probeUs() > nowUs) return;
    this.#probeTimeouts += 1;
    this.#probe(nowUs);
  }

  #goDown(nowUs: TimeUs): void {
    this.#flight.loseAll();
    if (this.#flight.change.packets > 0) this.#reportLoss(nowUs, false);
    this.#waitingSinceUs = NEVER;
    this.#transition("silent", nowUs);
  }

  /** An empty DATA message that asks for feedback: not held back by window or pacer (RFC 9002, 7.5). */
  #probe(nowUs: TimeUs): void {
    if (this.outboxCount >= OUTBOX_ROOM || this.blocked || this.#flight.full) return;
    const slot = this.#arena.take();
    if (slot < 0) return;
    this.counters.probesSent += 1;
    this.#stamp(nowUs, slot, FLAG.ackNow, -1, 0);
  }

  #ptoUs(): number {
    return this.rtt.ptoUs(FEEDBACK_DELAY_MAX_US);
  }

  /** Probe timeout, doubled at each one that stays unanswered (RFC 9002 section 6.2.1). */
  #probeUs(): TimeUs {
    return this.#waitingSinceUs + this.#ptoUs() * ((1 << Math.min(this.#probeTimeouts + 1, 8)) - 1);
  }

  #idleProbeUs(nowUs: TimeUs): TimeUs {
    const active = nowUs - this.#lastActiveUs < ACTIVE_US;
    return this.#lastSentUs + (active ? PROBE_ACTIVE_US : PROBE_IDLE_US);
  }

  #transition(event: LifeEvent, nowUs: TimeUs): void {
    this.life = nextLife(this.life, event, nowUs);
  }

  /** The 64-bit number nearest to what was sent last that has these low 32 bits. */
  #fullSeq(low: number): number {
    const last = this.#flight.next - 1;
    const candidate = last - (last % 0x1_0000_0000) + low;
    if (candidate - last > 0x8000_0000) return candidate - 0x1_0000_0000;
    if (last - candidate > 0x8000_0000) return candidate + 0x1_0000_0000;
    return candidate;
  }
}
