/**
 * The ladder: which transport carries this portal's DATA of one link. Each portal has one a link and chooses for its
 * own sending direction. It sends HELLOs by every transport, learns from the peer's which of them were seen, climbs to
 * a better transport when that passes a trial, and steps down on the peer's authenticated report.
 *
 * Drive it so: tell it what happened, `poll` until null, `takeSwitch` until null, and again at `deadlineUs`. HELLO
 * bodies come out of `poll`; the caller seals and sends them. What decides is `steering.ts`.
 */
import { MS, NEVER, type TimeUs } from "../core/time.ts";
import { TRANSPORTS, type Transport, transportNumber, transportOf } from "../core/transport.ts";
import {
  CARRIES_NONE,
  encodeHello,
  HELLO_OCTETS,
  type Hello,
  type HelloSeen,
} from "../wire/hello.ts";
import { Canary } from "./canary.ts";
import { type HelloJob, Outbox } from "./outbox.ts";
import { rungStatus } from "./report.ts";
import { Rung } from "./rung.ts";
import type { LadderOptions, LadderStatus, TransportSwitch } from "./status.ts";
import { Steering } from "./steering.ts";
import { TcpNeed } from "./tcp-need.ts";

export type {
  LadderOptions,
  LadderStatus,
  RungStatus,
  SwitchCause,
  TransportSwitch,
} from "./status.ts";

/** Asks that come closer together get one answer: at most 100 rounds of small HELLOs a second. */
const ANSWER_INTERVAL_US = 10 * MS;
/** Nothing here needs a finer clock. */
const TICK_US = MS;
const NOTHING_SEEN: HelloSeen = { highest: 0, bitmap: 0, echo: 0 };

export class Ladder {
  /** Messages with a bad tag that this portal has refused on this link so far: the caller keeps it up to date. */
  badTags = 0;
  readonly #options: LadderOptions;
  readonly #steering: Steering;
  readonly #canaries: readonly Canary[];
  /** By transport number; undefined: not allowed. */
  readonly #byNumber: readonly (Rung | undefined)[];
  readonly #outbox = new Outbox();
  readonly #tcp: TcpNeed;
  #deadlineUs: TimeUs = NEVER;
  #answerDue = false;
  /** The peer is to be told at once: by every transport, whatever the path carries now. */
  #newsDue = false;
  #told: Rung | null = null;
  #answeredUs: TimeUs = -NEVER;
  #dataUs: TimeUs = -NEVER;
  #peer: Transport | null = null;
  #fullOctets: number;

  constructor(options: LadderOptions) {
    const { allowed, role } = options;
    this.#options = options;
    this.#fullOctets = options.fullOctets;
    const rungs = allowed.map((transport, rank) => new Rung(transport, rank, role === "remote"));
    this.#byNumber = TRANSPORTS.map((name) => rungs.find(({ transport }) => transport === name));
    this.#canaries = rungs.map((rung) => new Canary(rung, () => this.#uint32() / 0x1_0000_0000));
    this.#steering = new Steering(rungs);
    this.#tcp = new TcpNeed(role === "local" && allowed.includes("tcp"), allowed.length === 1);
  }

  /** What carries our DATA; null: nothing does (yet), send none. */
  get current(): Transport | null {
    return this.#steering.current?.transport ?? null;
  }

  /** Both directions go by one TCP connection. */
  get sharesConnection(): boolean {
    return this.current === "tcp" && this.#peer === "tcp";
  }

  /** By transport number: the socket is open, or the peer's path is known. */
  get usable(): readonly boolean[] {
    return this.#byNumber.map((rung) => rung?.usable ?? false);
  }

  /** Octets of a full-size HELLO: the longest message that some transport of the link is known to carry. */
  get fullOctets(): number {
    return this.#fullOctets;
  }

  /** Sets `fullOctets`. What was found out with another size, or failed for it, is found out anew. */
  resize(nowUs: TimeUs, fullOctets: number): void {
    if (fullOctets === this.#fullOctets) return;
    this.#fullOctets = fullOctets;
    for (const { sent } of this.#steering.rungs) sent.resize();
    this.pathChanged(nowUs);
  }

  /** `transport` is one of those that may carry the link at all. */
  allows(transport: Transport): boolean {
    return this.#rung(transport) !== undefined;
  }

  /** DATA may be sent by `transport` now: it is open, its path is proven, and nothing forbids it. */
  mayCarry(nowUs: TimeUs, transport: Transport): boolean {
    return this.#rung(transport)?.mayCarry(nowUs) ?? false;
  }

  /** Local: TCP should be connected now, since nothing better answers; false: a connection may be closed. */
  get wantsTcp(): boolean {
    return this.#tcp.wanted;
  }

  /** The session has attached the link by `transport`: its path is proven. It carries if nothing does. */
  attached(nowUs: TimeUs, transport: Transport): void {
    const rung = this.#rung(transport);
    if (rung === undefined) return;
    if (!rung.usable) this.open(nowUs, transport);
    const steering = this.#steering;
    rung.attached(nowUs);
    if (steering.current === null)
      steering.carry(nowUs, rung, steering.begun ? "answered" : "attached");
    steering.begun = true;
    this.#deadlineUs = nowUs;
  }

  /**
   * Its socket is open, or connected; Remote: the peer's path of this transport is known. To be called again, before
   * `receive`, when that path has changed: what was proven is void, and a new nonce goes out.
   */
  open(nowUs: TimeUs, transport: Transport): void {
    const rung = this.#rung(transport);
    if (rung === undefined) return;
    rung.open(this.#uint32() || 1);
    rung.retry.reset();
    this.#steering.opened(nowUs);
    this.#tcp.begin(nowUs);
    if (transport === "tcp") this.#tcp.hold(nowUs);
    this.#deadlineUs = nowUs;
  }

  /** The socket, the connection or the path is gone. */
  close(nowUs: TimeUs, transport: Transport): void {
    this.#rung(transport)?.close();
    this.#deadlineUs = nowUs;
    if (this.current === transport) this.#steering.leave(nowUs, "closed");
  }

  /** Our device, address or route has changed: what failed may work now, and better transports are tried at once. */
  pathChanged(nowUs: TimeUs): void {
    this.#steering.pathChanged(nowUs);
    this.#newsDue = true;
    this.#deadlineUs = nowUs;
  }

  /** An ICMP error blamed `transport`. Anybody can forge one: it brings HELLOs forward, no more. */
  hint(nowUs: TimeUs, transport: Transport): void {
    if (this.current !== transport) return;
    this.#steering.doubt(nowUs);
    this.#deadlineUs = nowUs;
  }

  /** DATA has gone unanswered for max(3 RTT, 200 ms). Once a silence. */
  silent(nowUs: TimeUs): void {
    this.#dataUs = nowUs;
    if (this.#steering.current !== null) this.#steering.suspect(nowUs);
    this.#deadlineUs = nowUs;
  }

  /** DATA is acknowledged again. Once a silence: the peer, who may not speak before us, hears of it by every transport. */
  heard(nowUs: TimeUs): void {
    this.#dataUs = nowUs;
    this.#steering.heard();
    this.#newsDue = true;
    this.#deadlineUs = nowUs;
  }

  /** Packets of DATA newly declared lost, and newly acknowledged, on `current`. Cheap. */
  loss(nowUs: TimeUs, lost: number, acked: number): void {
    this.#dataUs = nowUs;
    const { watch } = this.#steering;
    watch.add(nowUs, lost, acked);
    if (watch.due) this.#deadlineUs = Math.min(this.#deadlineUs, nowUs);
  }

  /** The peer receives where we send to by `transport`. */
  proven(transport: Transport): boolean {
    return this.#rung(transport)?.proven ?? false;
  }

  /**
   * A HELLO of the peer, genuine and no replay, came by `transport`.
   *
   * @param here - from where we send to by it; from elsewhere it proves no address
   */
  receive(nowUs: TimeUs, transport: Transport, hello: Hello, here = true): void {
    const rung = this.#rung(transport);
    if (hello.transport !== transportNumber(transport)) return;
    if (rung?.usable) {
      const mute = !rung.maySpeak(nowUs);
      rung.hear(nowUs, hello);
      // What kept silent as long as the peer did asks now, and not when its slow questions come round.
      if (mute && rung.maySpeak(nowUs)) this.#steering.opened(nowUs);
    }
    const carries = transportOf(hello.carries) ?? null;
    // What the peer has climbed to may work this way too again.
    if (carries !== null && carries !== this.#peer) this.#rung(carries)?.retry.hasten(nowUs);
    this.#peer = carries;
    this.#steering.peerBadTags = hello.badTags;
    for (const known of this.#steering.rungs) {
      const askedUs = known.learn(hello.seen[known.number] ?? NOTHING_SEEN, here && known === rung);
      if (askedUs >= 0) this.#steering.sampleRtt(nowUs - askedUs);
    }
    if (hello.ask) this.#answerDue = true;
    this.#deadlineUs = nowUs;
  }

  /** The HELLO to send now: a CONTROL body, and what to send it by. Call until null. Costs nothing before the deadline. */
  poll(nowUs: TimeUs): { transport: Transport; body: Uint8Array } | null {
    if (nowUs < this.#deadlineUs) return null;
    let job = this.#nextJob(nowUs);
    if (job === undefined) {
      this.#advance(nowUs);
      job = this.#nextJob(nowUs);
    }
    if (job !== undefined) return { transport: job.rung.transport, body: this.#encode(nowUs, job) };
    this.#deadlineUs = Math.max(this.#wakeUs(nowUs), nowUs + TICK_US);
    return null;
  }

  /** When `poll` has something to do, at the latest; Infinity: when something happens. */
  deadlineUs(): TimeUs {
    return this.#deadlineUs;
  }

  /** The oldest change of `current` not told yet. That nothing carries any more is none: `current` says so. */
  takeSwitch(): TransportSwitch | null {
    return this.#steering.carried.takeSwitch();
  }

  status(nowUs: TimeUs): LadderStatus {
    const { rungs } = this.#steering;
    const { sinceUs, switchCount, lastCause } = this.#steering.carried;
    return {
      current: this.current,
      sinceUs,
      transports: rungs.map((rung) => rungStatus(nowUs, rung, this.#steering)),
      peer: this.#peer,
      switches: switchCount,
      lastCause,
    };
  }

  #rung(transport: Transport): Rung | undefined {
    return this.#byNumber[transportNumber(transport)];
  }

  #uint32(): number {
    return new DataView(Uint8Array.from(this.#options.random(4)).buffer).getUint32(0);
  }

  #advance(nowUs: TimeUs): void {
    const steering = this.#steering;
    steering.advance(nowUs, this.#outbox);
    const carries = steering.current?.transport === "tcp" || this.#peer === "tcp";
    this.#tcp.update(nowUs, steering.begun, carries || steering.needsMore(nowUs));
    if (!steering.begun) return;
    this.#tellNews(nowUs);
    if (this.#answerDue && nowUs >= this.#answeredUs + ANSWER_INTERVAL_US) {
      this.#answerDue = false;
      this.#answeredUs = nowUs;
      for (const rung of steering.rungs) {
        if (rung.maySend(nowUs)) this.#outbox.send(rung, false, false);
      }
    }
    for (const canary of this.#canaries) {
      if (canary.dueUs(nowUs, this.#dataUs) > nowUs) continue;
      this.#outbox.send(canary.rung, false, canary.asks(nowUs));
    }
  }

  /** Another path shows where the client is now; what carries our DATA may work for the peer's again. */
  #tellNews(nowUs: TimeUs): void {
    const { current, rungs } = this.#steering;
    const switched = current !== null && current !== this.#told;
    if (!switched && !this.#newsDue) return;
    if (switched) this.#told = current;
    for (const rung of rungs) {
      if (rung.maySend(nowUs)) this.#outbox.send(rung, false, this.#newsDue);
    }
    this.#newsDue = false;
  }

  #wakeUs(nowUs: TimeUs): TimeUs {
    const { begun } = this.#steering;
    const tcpUs = this.#tcp.deadlineUs(begun);
    if (!begun) return tcpUs;
    const answerUs = this.#answerDue ? this.#answeredUs + ANSWER_INTERVAL_US : NEVER;
    const canariesUs = this.#canaries.map((canary) => canary.dueUs(nowUs, this.#dataUs));
    return Math.min(tcpUs, answerUs, this.#steering.deadlineUs(nowUs), ...canariesUs);
  }

  /** The next HELLO that may be sent: what the outbox holds may have become forbidden. */
  #nextJob(nowUs: TimeUs): HelloJob | undefined {
    let job = this.#outbox.take();
    while (job !== undefined && !job.rung.maySend(nowUs, this.#octets(job)))
      job = this.#outbox.take();
    return job;
  }

  #octets({ full }: HelloJob): number {
    return full ? Math.max(this.#fullOctets, HELLO_OCTETS) : HELLO_OCTETS;
  }

  #encode(nowUs: TimeUs, job: HelloJob): Uint8Array {
    const { rung, ask, full } = job;
    const octets = this.#octets(job);
    this.#canaries[rung.rank]?.sent();
    const current = this.current;
    return encodeHello({
      transport: rung.number,
      carries: current === null ? CARRIES_NONE : transportNumber(current),
      ...{ ask, full, octets, nonce: rung.nonce, badTags: this.badTags },
      number: rung.record(nowUs, octets, full, ask),
      seen: this.#byNumber.map((known) => known?.hearing.seen ?? NOTHING_SEEN),
    });
  }
}
