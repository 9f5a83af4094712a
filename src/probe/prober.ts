/**
 * The probing side of one link: runs the planned steps, asks the other side for trains and reports,
 * and keeps what came of it. No socket, no clock:
 *
 *   opened(transport) ... receive(message), icmp, mangled ... poll() until null ... deadlineUs()
 *
 * Questions go by the transport that answered last; one that stays unanswered goes by the next one.
 */
import type { RandomOctets } from "../core/random.ts";
import { MS, NEVER, type TimeUs } from "../core/time.ts";
import { TRANSPORTS, type Transport, transportOf } from "../core/transport.ts";
import { decodeReport, decodeTrain, MEASURE, measureOf } from "../wire/measure.ts";
import { manglingOf } from "./mangling.ts";
import type { Endpoint, IcmpAnswer, LinkMeasurement, UnsentReason } from "./measurement.ts";
import { type PlanOptions, reachTrain, type Step, secondStep, stepsAfter } from "./plan.ts";
import { measurementOf, reachedBy } from "./result.ts";
import { RunningTrain, type Voice } from "./running.ts";
import { TransportNotes } from "./transport-notes.ts";

/** Questions leave at least so far apart, so that reports stay a small part of the rate. */
const ASK_INTERVAL_US = 25 * MS;
/** Between two steps. */
const STEP_GAP_US = 150 * MS;
/** Every train's number is below. */
const NUMBERS_MAX = 0xffff;

/** A CONTROL body to seal and send. */
export interface Departure {
  readonly transport: Transport;
  readonly body: Uint8Array;
  readonly trafficClass: number;
  /** Not by the raw links' own protocol number, but by the second one. */
  readonly otherProtocol: boolean;
  /** The train it belongs to; null: a question. */
  readonly train: number | null;
}

export interface ProberOptions extends PlanOptions {
  readonly random: RandomOctets;
  /** The other protocol number can be tried. */
  readonly otherProtocol: boolean;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #notes = new Map<Transport, TransportNotes>();
  readonly #trains = new Map<number, RunningTrain>();
  /** Of the present step. */
  #running: RunningTrain[] = [];
  #steps: Step[] = [];
  #title = "who answers";
  #phase: "reach" | "second" | "steps" | "last" | "done" = "reach";
  #stepsDone = 0;
  #nextStepUs: TimeUs = NEVER;
  #askUs: TimeUs = 0;
  /** A step's end is looked for now and then; trains tell their other moments themselves. */
  #lookUs: TimeUs = NEVER;
  #number: number;
  #otherRefused = false;
  /** Answered last. */
  #carrier: Transport | null = null;

  constructor(options: ProberOptions) {
    this.#options = options;
    // Another run's late packets must not count.
    this.#number = Buffer.from(options.random(2)).readUInt16BE();
  }

  /** The session has come to be by this transport, so questions have a way. */
  attached(transport: Transport): void {
    this.#carrier ??= transport;
  }

  /** A transport's socket is open on this link. */
  opened(nowUs: TimeUs, transport: Transport, local: Endpoint | null): void {
    const notes = this.#noteOf(transport);
    notes.local = local;
    notes.failure = null;
    notes.open = true;
    if (this.#phase === "reach" && !notes.tried) {
      notes.tried = true;
      this.#begin(nowUs, { title: this.#title, trains: [reachTrain(this.#options, transport)] });
    }
  }

  /** A socket is open, but no session came to be that could use it. */
  unused(transport: Transport, local: Endpoint | null): void {
    this.#noteOf(transport).local = local;
  }

  /** @param failure - errno name */
  failed(transport: Transport, failure: string): void {
    const notes = this.#noteOf(transport);
    notes.open = false;
    notes.failure = failure;
    for (const train of this.#trains.values()) {
      if (train.planned.transport === transport) train.abandon();
    }
  }

  /** An authenticated CONTROL message, from the preamble on; true: it was ours. */
  receive(
    nowUs: TimeUs,
    transport: Transport,
    message: Uint8Array,
    trafficClass: number,
    hopLimit: number,
  ): boolean {
    const measure = measureOf(message);
    if (measure === undefined) return false;
    const notes = this.#noteOf(transport);
    if (hopLimit > 0) notes.noteHops(hopLimit);
    if (measure === MEASURE.train) {
      const packet = decodeTrain(message);
      if (packet === "truncated") return true;
      notes.token = packet.token;
      this.#trains.get(packet.train)?.onPacket(nowUs, packet, trafficClass);
    } else if (measure === MEASURE.report) this.#onReport(nowUs, notes, message);
    return true;
  }

  /** A message of this link whose tag is wrong, from the preamble on. */
  mangled(octets: Uint8Array): void {
    const mangling = manglingOf(octets);
    const transport = mangling === null ? undefined : transportOf(mangling.transport);
    if (mangling === null || transport === undefined) return;
    this.#noteOf(transport).noteMangled(mangling.positions);
  }

  icmp(transport: Transport, answer: Omit<IcmpAnswer, "count">, count: number): void {
    this.#noteOf(transport).noteIcmp(answer, count);
  }

  /** The portal's host itself says that it does not want the other protocol number: it got there. */
  otherProtocolRefused(): void {
    this.#otherRefused = true;
  }

  /** A local error of a transport's socket. */
  error(transport: Transport, code: string, count: number): void {
    this.#noteOf(transport).noteError(code, count);
  }

  /** What `poll` gave did not leave. */
  unsent({ train }: Departure, reason: UnsentReason): void {
    if (train !== null) this.#trains.get(train)?.noteUnsent(reason);
  }

  poll(nowUs: TimeUs): Departure | null {
    this.#advance(nowUs);
    return this.#packet(nowUs) ?? this.#question(nowUs);
  }

  deadlineUs(): TimeUs {
    if (this.#phase === "done") return NEVER;
    let dueUs = this.#nextStepUs;
    let askUs = NEVER;
    for (const train of this.#trains.values()) {
      dueUs = Math.min(dueUs, train.departUs);
      askUs = Math.min(askUs, train.askUs());
    }
    return Math.min(dueUs, Math.max(askUs, this.#askUs), this.#lookUs);
  }

  get done(): boolean {
    return this.#phase === "done";
  }

  /** For a person who waits. */
  get progress(): { readonly title: string; readonly step: number; readonly steps: number } {
    return {
      title: this.#title,
      step: this.#stepsDone,
      steps: this.#stepsDone + this.#steps.length,
    };
  }

  measurement(): LinkMeasurement {
    const { family, linkMtu } = this.#options;
    const connected = this.#carrier !== null;
    const facts = { family, linkMtu, connected, otherProtocolPassed: this.#otherRefused };
    return measurementOf(facts, [...this.#trains.values()], this.#notes);
  }

  #advance(nowUs: TimeUs): void {
    if (this.#phase === "done" || this.#trains.size === 0) return;
    this.#lookUs = nowUs + STEP_GAP_US;
    for (const train of this.#trains.values()) train.expire(nowUs);
    const waits = this.#phase !== "steps";
    const ended = waits
      ? [...this.#trains.values()].every((train) => train.isFinished)
      : this.#running.every((train) => train.isOver(nowUs));
    if (!ended) {
      this.#nextStepUs = NEVER;
      return;
    }
    if (this.#nextStepUs === NEVER) this.#nextStepUs = nowUs + (waits ? 0 : STEP_GAP_US);
    if (nowUs < this.#nextStepUs) return;
    this.#nextStepUs = NEVER;
    this.#nextStep(nowUs);
  }

  #nextStep(nowUs: TimeUs): void {
    this.#stepsDone += 1;
    const second = this.#phase === "reach" ? this.#secondLook : null;
    if (second !== null && second.trains.length > 0) {
      this.#phase = "second";
      this.#begin(nowUs, second);
      return;
    }
    if (this.#phase === "reach" || this.#phase === "second") {
      this.#phase = "steps";
      this.#steps = stepsAfter(this.#options, reachedBy(this.#trains.values(), this.#notes));
    } else if (this.#phase === "last") {
      this.#phase = "done";
      return;
    }
    const step = this.#steps.shift();
    this.#running = [];
    if (step === undefined) {
      this.#phase = "last";
      this.#title = "last reports";
    } else this.#begin(nowUs, step);
  }

  #begin(nowUs: TimeUs, step: Step): void {
    this.#title = step.title;
    for (const planned of step.trains) {
      this.#number = (this.#number + 1) % NUMBERS_MAX;
      const train = new RunningTrain(nowUs, this.#number, planned, this.#options.family);
      this.#trains.set(train.number, train);
      this.#running.push(train);
    }
  }

  #packet(nowUs: TimeUs): Departure | null {
    let next: RunningTrain | null = null;
    for (const train of this.#running) {
      if (train.departUs <= nowUs && train.departUs < (next?.departUs ?? NEVER)) next = train;
    }
    if (next === null) return null;
    const { transport, trafficClass, name } = next.planned;
    const body = next.depart(nowUs, this.#voice(transport, transport));
    const otherProtocol = name === "otherProtocol";
    return { transport, body, trafficClass, otherProtocol, train: next.number };
  }

  #question(nowUs: TimeUs): Departure | null {
    if (nowUs < this.#askUs) return null;
    for (const train of this.#trains.values()) {
      if (train.askUs() > nowUs) continue;
      const transport = this.#carrierFor(train);
      if (transport === null) return null;
      this.#askUs = nowUs + ASK_INTERVAL_US;
      const body = train.ask(nowUs, this.#voice(transport, train.planned.transport));
      return { transport, body, trafficClass: 0, otherProtocol: false, train: null };
    }
    return null;
  }

  /** Pauses are for looking at mappings: TCP, which has none to lose by them, carries the questions. */
  #carrierFor(train: RunningTrain): Transport | null {
    const open = TRANSPORTS.filter((transport) => this.#notes.get(transport)?.open === true);
    const first = train.planned.name === "portalFirst" ? "tcp" : (this.#carrier ?? open[0]);
    const order = [first, ...open.filter((transport) => transport !== first)];
    // Twice by each: one question may have been lost.
    return order[Math.floor(train.tries / 2) % order.length] ?? null;
  }

  /** What leaves by one transport and asks about another. */
  #voice(by: Transport, about: Transport): Voice {
    const notes = this.#noteOf(by);
    const port = this.#noteOf(about).local?.port ?? 0;
    const derive = notes.isTranslated === false;
    return { token: notes.token, local: notes.localOctets, derive, port };
  }

  #onReport(nowUs: TimeUs, notes: TransportNotes, message: Uint8Array): void {
    const report = decodeReport(message);
    if (report === "truncated") return;
    notes.token = report.token;
    this.#carrier = notes.transport;
    const about = transportOf(report.transport);
    if (about !== undefined) this.#noteOf(about).noteReport(report);
    this.#trains.get(report.train)?.onReport(nowUs, report);
  }

  /** Where nothing came back, the way down alone; where raw IP dies behind a translation, another number. */
  get #secondLook(): Step {
    const reached = [...reachedBy(this.#trains.values(), this.#notes)];
    const silent = reached.flatMap(([transport, { down }]) => (down ? [] : [transport]));
    const rawDies = reached.some(([transport, { up }]) => transport === "raw" && !up);
    const translated = [...this.#notes.values()].some(({ isTranslated }) => isTranslated === true);
    const other = this.#options.otherProtocol && translated && rawDies;
    return secondStep(silent, other);
  }

  #noteOf(transport: Transport): TransportNotes {
    const known = this.#notes.get(transport);
    if (known !== undefined) return known;
    const notes = new TransportNotes(transport);
    this.#notes.set(transport, notes);
    return notes;
  }
}
