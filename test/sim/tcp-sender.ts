/**
 * The sending end of a TCP model: handshake, window, bursts as segmentation offload makes them, loss
 * recovery by RACK, tail loss probe and timeout (RFC 8985, RFC 6298), undo of what proves spurious. The
 * window's law is a `TcpLaw`. Follows Linux where the RFCs leave room.
 */
import type { Arena } from "../../src/core/arena.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../../src/core/time.ts";
import type { Endpoint, Outlet } from "./ends.ts";
import type { EventQueue, Process } from "./events.ts";
import { type Flow, takeSlot } from "./packets.ts";
import { Histogram } from "./record.ts";
import { Scoreboard } from "./scoreboard.ts";
import { TcpBursts } from "./tcp-bursts.ts";
import { TcpEpisode } from "./tcp-episode.ts";
import type { TcpLaw, TcpSenderOptions, TcpState } from "./tcp-law.ts";
import { TcpRtt } from "./tcp-rtt.ts";
import {
  FLAG,
  newSegment,
  readSegment,
  reportsDuplicate,
  type Segment,
  writeSegment,
} from "./tcp-segment.ts";

const RTO_INITIAL_US = 1 * SECOND;
/** The probe for a lost tail waits for a delayed acknowledgement when one segment is in flight. */
const DELAYED_ACK_MAX_US = 200 * MS;
const ECT0 = 2;

export class TcpSender implements Endpoint, Process {
  readonly law: TcpLaw;
  readonly board: Scoreboard;
  readonly rtt = new Histogram();
  /** Since the mark: retransmitted segments, timeouts, recoveries, and recoveries that were undone. */
  resent = 0;
  timeouts = 0;
  recoveries = 0;
  undone = 0;
  state: TcpState = "open";
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #outlet: Outlet;
  readonly #flow: Flow;
  readonly #options: TcpSenderOptions;
  readonly #in: Segment = newSegment();
  readonly #out: Segment = newSegment();
  #connected = false;
  #window = 0;
  #backoff = 1;
  #echoUs = 0;
  readonly #timing = new TcpRtt();
  readonly #episode = new TcpEpisode();
  readonly #bursts: TcpBursts;
  #cwrHigh = 0;
  #sendCwr = false;
  #windowLimited = false;
  #limitedUntil = 0;
  #rtoUs: TimeUs = NEVER;
  #probeUs: TimeUs = NEVER;
  #reorderUs: TimeUs = NEVER;
  #paceUs: TimeUs = NEVER;

  constructor(
    arena: Arena,
    events: EventQueue,
    outlet: Outlet,
    flow: Flow,
    options: TcpSenderOptions,
  ) {
    this.#arena = arena;
    this.#events = events;
    this.#id = events.register(this);
    this.#outlet = outlet;
    this.#flow = { ...flow, trafficClass: flow.trafficClass | (options.ecn ? ECT0 : 0) };
    this.#options = options;
    this.law = options.law;
    this.#bursts = new TcpBursts(options.law, this.#timing);
    this.board = new Scoreboard(options.windowMax);
  }

  start(nowUs: TimeUs): void {
    this.#rtoUs = nowUs + RTO_INITIAL_US * this.#backoff;
    this.#transmit(nowUs, 0, FLAG.syn, 0);
    this.#arm();
  }

  mark(): void {
    this.resent = 0;
    this.timeouts = 0;
    this.recoveries = 0;
    this.undone = 0;
    this.rtt.reset();
  }

  receive(nowUs: TimeUs, slot: number): void {
    const segment = this.#in;
    readSegment(this.#arena, slot, segment);
    this.#window = segment.window;
    this.#echoUs = segment.sentUs;
    if (!this.#connected) this.#connect(nowUs, segment);
    else if (segment.ack >= this.board.una) this.#acknowledge(nowUs, segment);
    this.#send(nowUs);
  }

  endBatch(): void {}

  wake(nowUs: TimeUs): void {
    if (!this.#connected) {
      this.#backoff *= 2;
      this.start(nowUs);
      return;
    }
    if (this.#reorderUs <= nowUs) {
      this.#reorderUs = NEVER;
      this.board.begin(nowUs);
      this.#detect(nowUs);
    }
    if (this.#probeUs <= nowUs) this.#probe(nowUs);
    if (this.#rtoUs <= nowUs) this.#timeout(nowUs);
    if (this.#paceUs <= nowUs) this.#paceUs = NEVER;
    this.#send(nowUs);
  }

  #connect(nowUs: TimeUs, segment: Segment): void {
    if ((segment.flags & FLAG.syn) === 0) return;
    this.#connected = true;
    this.#backoff = 1;
    this.#rtoUs = NEVER;
    this.#timing.note((nowUs % 0x1_0000_0000) - segment.echoUs);
  }

  #acknowledge(nowUs: TimeUs, segment: Segment): void {
    const { board } = this;
    const before = board.una;
    board.begin(nowUs);
    board.acknowledge(segment.ack);
    for (let index = 0; index < segment.blockCount; index += 1) {
      const from = segment.from[index] as number;
      const to = segment.to[index] as number;
      if (index === 0 && reportsDuplicate(segment)) this.#noteDuplicates(to - from);
      else board.sack(from, to);
    }
    board.finish();
    const { sample } = board;
    if (sample.rttUs >= 0) {
      this.#timing.note(sample.rttUs);
      this.rtt.add(sample.rttUs);
    }
    if (board.una >= this.#limitedUntil) this.#windowLimited = false;
    this.#noteEcho(nowUs, segment);
    this.#undoOrEnd(nowUs, segment, board.una > before);
    this.#detect(nowUs);
    if (sample.delivered > 0) {
      this.law.onAck(sample, board, this.state, this.#timing.srttUs, this.#limited());
      this.#backoff = 1;
      this.#restartTimers(nowUs);
    }
  }

  #noteDuplicates(count: number): void {
    this.board.noteDsack();
    this.#episode.noteDuplicates(count);
  }

  #noteEcho(nowUs: TimeUs, segment: Segment): void {
    if ((segment.flags & FLAG.ece) === 0 || this.state !== "open") return;
    if (this.board.una < this.#cwrHigh) return;
    this.#cwrHigh = this.board.next;
    this.#sendCwr = true;
    this.law.onMark(nowUs);
  }

  /** Ends an episode whose losses are repaired, or that was none (RFC 3522, RFC 4015, DSACK). */
  #undoOrEnd(nowUs: TimeUs, segment: Segment, advanced: boolean): void {
    if (this.state === "open") return;
    if (this.#episode.spurious(segment.echoUs, advanced)) {
      this.undone += 1;
      this.board.unlose();
      this.law.undo(nowUs);
      this.#enter("open");
      return;
    }
    if (this.board.una < this.#episode.high) return;
    this.law.onRecovered(nowUs);
    this.board.noteRecoveryEnd();
    this.#enter("open");
  }

  #detect(nowUs: TimeUs): void {
    const { board } = this;
    const againUs = board.detect(nowUs, this.#timing.srttUs, this.state !== "open");
    this.#reorderUs = againUs > 0 ? Math.ceil(nowUs + againUs) : NEVER;
    if (board.lostOut === 0 || this.state !== "open") return;
    this.recoveries += 1;
    this.#enter("recovery");
    this.law.onRecovery(nowUs, board);
  }

  #enter(state: TcpState): void {
    this.state = state;
    this.#episode.begin(this.board);
  }

  /** RFC 8985 section 7. */
  #probe(nowUs: TimeUs): void {
    this.#probeUs = NEVER;
    const { board } = this;
    if (board.next === board.una) return;
    if (this.#mayAppend()) this.#sendNew(nowUs);
    else this.#resend(nowUs, board.next - 1);
    this.#rtoUs = nowUs + this.#timing.timeoutUs(this.#backoff);
  }

  #timeout(nowUs: TimeUs): void {
    const { board } = this;
    this.#rtoUs = NEVER;
    if (board.next === board.una) return;
    this.timeouts += 1;
    board.begin(nowUs);
    board.loseAll();
    if (this.state === "open" || this.#backoff === 1) {
      this.law.onTimeout(nowUs);
      this.#enter("loss");
    }
    this.#backoff = Math.min(2 * this.#backoff, 64);
    this.#rtoUs = nowUs + this.#timing.timeoutUs(this.#backoff);
    this.#probeUs = NEVER;
    this.#reorderUs = NEVER;
  }

  #send(nowUs: TimeUs): void {
    if (this.#connected) {
      for (;;) {
        const allowed = this.#allowance();
        if (allowed <= 0 || this.#paced(nowUs)) break;
        const lost = this.board.firstLost();
        if (lost >= 0) this.#resend(nowUs, lost);
        else if (this.#mayAppend() && !this.#deferred(allowed)) this.#burst(nowUs, allowed);
        else break;
      }
    }
    this.#arm();
  }

  /** Segments that the window lets go. */
  #allowance(): number {
    const allowed = Math.floor(this.law.cwnd) - this.board.inFlight;
    if (allowed <= 0 && this.#unsent()) this.#noteLimited();
    return allowed;
  }

  #noteLimited(): void {
    this.#windowLimited = true;
    this.#limitedUntil = this.board.next;
  }

  /** In slow start a window half used counts as used, as in Linux. */
  #limited(): boolean {
    const { board } = this;
    if (this.law.slowStart)
      return this.law.cwnd < 2 * (board.next - board.una + board.sample.acked);
    return this.#windowLimited;
  }

  #unsent(): boolean {
    return this.board.next < this.#options.segments;
  }

  #mayAppend(): boolean {
    const { board } = this;
    return this.#unsent() && !board.full && board.next < board.una + this.#window;
  }

  /** Waits for a fuller burst while acknowledgements are to come. */
  #deferred(allowed: number): boolean {
    const { board } = this;
    if (board.inFlight === 0) return false;
    const room = board.una + this.#window - board.next;
    const left = this.#options.segments - board.next;
    const wanted = Math.min(this.#bursts.size, Math.ceil(this.law.cwnd / 3), left);
    if (Math.min(allowed, room) >= wanted) return false;
    if (allowed < room) this.#noteLimited();
    return true;
  }

  #burst(nowUs: TimeUs, allowed: number): void {
    const count = Math.min(allowed, this.#bursts.size);
    for (let index = 0; index < count && this.#mayAppend(); index += 1) this.#sendNew(nowUs);
  }

  #sendNew(nowUs: TimeUs): void {
    const seq = this.board.send(nowUs, !this.#unsentAfter());
    this.#transmit(nowUs, seq, FLAG.psh, this.#options.mss);
  }

  #unsentAfter(): boolean {
    return this.board.next + 1 < this.#options.segments;
  }

  #resend(nowUs: TimeUs, seq: number): void {
    this.resent += 1;
    if (this.state !== "open") this.#episode.noteResent(nowUs);
    this.board.resend(nowUs, seq);
    this.#transmit(nowUs, seq, FLAG.psh, this.#options.mss);
  }

  #transmit(nowUs: TimeUs, seq: number, flags: number, payload: number): void {
    const slot = takeSlot(this.#arena);
    const out = this.#out;
    out.seq = seq;
    out.flags = flags | FLAG.ack | (this.#sendCwr && payload > 0 ? FLAG.cwr : 0);
    if (payload > 0) this.#sendCwr = false;
    out.window = 0xffff;
    out.sentUs = nowUs;
    out.echoUs = this.#echoUs;
    writeSegment(this.#arena, slot, this.#flow, out, payload);
    this.#outlet.send(nowUs, slot);
    if (payload === 0) return;
    this.law.onSent(this.state);
    this.#bursts.noteSent(nowUs);
    if (this.#rtoUs === NEVER) this.#restartTimers(nowUs);
  }

  #paced(nowUs: TimeUs): boolean {
    const readyUs = this.#bursts.readyUs(nowUs);
    if (readyUs <= nowUs) return false;
    this.#paceUs = readyUs;
    return true;
  }

  #restartTimers(nowUs: TimeUs): void {
    const { board } = this;
    this.#probeUs = NEVER;
    this.#rtoUs = NEVER;
    if (board.next === board.una) return;
    this.#rtoUs = nowUs + this.#timing.timeoutUs(this.#backoff);
    if (this.state !== "open" || board.sackedOut > 0) return;
    const alone = board.next - board.una === 1 ? DELAYED_ACK_MAX_US : 0;
    this.#probeUs = Math.ceil(Math.min(nowUs + 2 * this.#timing.srttUs + alone, this.#rtoUs));
  }

  #arm(): void {
    const recoveryUs = Math.min(this.#rtoUs, this.#probeUs);
    this.#events.set(this.#id, Math.min(recoveryUs, this.#reorderUs, this.#paceUs));
  }
}
