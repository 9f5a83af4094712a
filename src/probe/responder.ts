/**
 * The Remote Portal's half of a measurement: notes what arrives, sends the trains it is asked for,
 * reports. One for each link of a probing session. No socket, no clock:
 *
 *   handle(message) ... poll() until null ... deadlineUs()
 *
 * Bounded: RATE bits a second, SESSION_OCTETS_MAX in all, TRAINS_MAX trains. To an address that has not
 * shown that it receives there it sends 3 times the octets heard from it at most, and by raw IP it
 * speaks first only where the probing side stands behind no address translation: a portal that speaks
 * first can make a router forget which host behind it the packets belong to.
 */
import { PATH_AT, type Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { type Transport, transportNumber, transportOf } from "../core/transport.ts";
import { observedFrom } from "../wire/attach.ts";
import {
  type Ask,
  decodeAsk,
  decodeRequest,
  decodeTrain,
  encodeReport,
  encodeTrain,
  MEASURE,
  measureOf,
  REPORT_ARRIVALS_MAX,
  TRAIN_OCTETS,
  type TrainPacket,
  type TrainRequest,
} from "../wire/measure.ts";
import { PREAMBLE_OCTETS } from "../wire/preamble.ts";
import { Arrivals, TRAIN_PACKETS_MAX } from "./arrivals.ts";
import { Budget } from "./budget.ts";
import { manglingOf } from "./mangling.ts";
import { derivedPath, HeardPath } from "./paths.ts";

/** Trains of one probing session and link, both directions. */
export const TRAINS_MAX = 1024;
/** Packets whose arrival is kept, over all trains. */
export const PACKETS_KEPT_MAX = 65_536;
/** Answers that wait for the budget; further ones are dropped, the probing side asks again. */
export const ANSWERS_MAX = 512;
/** Octets of a body: what a slot holds less preamble and tag. */
export const BODY_OCTETS_MAX = 1944;
/** Bits a second that are sent on a link at the most, whatever is asked for. */
export const RATE_MAX = 10e6;

/** In front of a body, for decoding it. */
const PREAMBLE = new Uint8Array(PREAMBLE_OCTETS);

/** What has to leave: a CONTROL body to seal and to send along a path. */
export interface ProbeAnswer {
  readonly path: Path;
  readonly body: Uint8Array;
  /** DSCP and ECN to send it with. */
  readonly trafficClass: number;
}

interface Outgoing {
  readonly request: TrainRequest;
  readonly transport: Transport;
  sent: number;
  /** Did not leave this machine. */
  unsent: number;
  nextUs: TimeUs;
  status: "underWay" | "done" | "noPath" | "tooMuch";
}

export class ProbeResponder {
  readonly #random: RandomOctets;
  readonly #budget: Budget;
  readonly #paths = new Map<Transport, HeardPath>();
  readonly #arrivals = new Map<number, Arrivals>();
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #answers: ProbeAnswer[] = [];
  #packetsKept = 0;

  /** @param options - `rate`: bits a second, default and most RATE_MAX */
  constructor(options: { readonly random: RandomOctets; readonly rate?: number }) {
    this.#random = options.random;
    this.#budget = new Budget(Math.min(options.rate ?? RATE_MAX, RATE_MAX));
  }

  /**
   * Takes authenticated CONTROL messages of the link; ignores what is none of its own.
   *
   * @param message - from the preamble on, without its tag
   * @param path - where it came from; copied where it is kept
   * @param transport - of the socket that it came by
   * @param trafficClass - outer DSCP and ECN, as `hopLimit` from the outer header; 0: unknown
   */
  handle(
    nowUs: TimeUs,
    message: Uint8Array,
    path: Path,
    transport: Transport,
    trafficClass: number,
    hopLimit: number,
  ): void {
    const measure = measureOf(message);
    if (measure === undefined) return;
    const packet = measure === MEASURE.train ? decodeTrain(message) : null;
    if (packet === "truncated") return;
    if (packet?.otherProtocol === true) {
      this.#arrivalsOf(packet)?.note(nowUs, packet, trafficClass);
      return;
    }
    const heard = this.#heard(transport, path);
    heard.note(message.length, hopLimit);
    if (packet !== null) this.#onTrain(nowUs, packet, heard, trafficClass);
    if (measure === MEASURE.request) this.#onRequest(nowUs, message, heard);
    if (measure === MEASURE.ask) this.#onAsk(message, heard);
  }

  /** A message of this link whose tag is wrong, from the preamble on; the addon keeps the newest. */
  mangled(octets: Uint8Array): void {
    const mangling = manglingOf(octets);
    const transport = mangling === null ? undefined : transportOf(mangling.transport);
    if (mangling === null || transport === undefined) return;
    this.#stateOf(transport).mangled(mangling.positions);
  }

  /** What has to leave now; call it until null. */
  poll(nowUs: TimeUs): ProbeAnswer | null {
    const answer = this.#answers[0];
    if (answer !== undefined) {
      if (!this.#budget.take(nowUs, answer.body.length)) return null;
      this.#answers.shift();
      return answer;
    }
    for (const train of this.#outgoing.values()) {
      if (train.status !== "underWay" || nowUs < train.nextUs) continue;
      const departure = this.#depart(nowUs, train);
      if (departure !== null) return departure;
    }
    return null;
  }

  /** What `poll` gave did not leave this machine: a firewall of its own, or no way there. */
  unsent({ body }: ProbeAnswer): void {
    const packet = decodeTrain(Buffer.concat([PREAMBLE, body]));
    if (packet === "truncated" || packet.echo === "is") return;
    const train = this.#outgoing.get(packet.train);
    if (train !== undefined) train.unsent += 1;
  }

  /** When `poll` has something again. */
  deadlineUs(): TimeUs {
    let dueUs = this.#answers.length > 0 ? 0 : NEVER;
    for (const { status, nextUs } of this.#outgoing.values()) {
      if (status === "underWay") dueUs = Math.min(dueUs, nextUs);
    }
    return Math.max(dueUs, this.#budget.freeUs);
  }

  #onTrain(nowUs: TimeUs, packet: TrainPacket, heard: HeardPath, trafficClass: number): void {
    heard.proves(packet.token);
    this.#arrivalsOf(packet)?.note(nowUs, packet, trafficClass);
    if (packet.echo !== "wanted") return;
    const body = encodeTrain({ ...packet, echo: "is", token: heard.token });
    this.#answer(heard, body, packet.trafficClass);
  }

  #arrivalsOf({ train, count }: TrainPacket): Arrivals | undefined {
    const known = this.#arrivals.get(train);
    const full = this.#arrivals.size >= TRAINS_MAX || this.#packetsKept + count > PACKETS_KEPT_MAX;
    if (known !== undefined || full || count === 0 || count > TRAIN_PACKETS_MAX) return known;
    const arrivals = new Arrivals(count, false);
    this.#packetsKept += count;
    this.#arrivals.set(train, arrivals);
    return arrivals;
  }

  /** Answered by a report, so that the probing side can tell a lost request from lost packets. */
  #onRequest(nowUs: TimeUs, message: Uint8Array, heard: HeardPath): void {
    const request = decodeRequest(message);
    if (request === "truncated") return;
    heard.proves(request.token);
    const transport = transportOf(request.transport);
    if (transport === undefined) return;
    if (!this.#outgoing.has(request.train) && this.#outgoing.size < TRAINS_MAX) {
      if (request.derive) this.#derive(transport, request, heard);
      const octets = Math.max(TRAIN_OCTETS, request.octets);
      const status = this.#statusOf(transport, request);
      const begun = { transport, sent: 0, unsent: 0, nextUs: nowUs, status };
      this.#outgoing.set(request.train, { request: { ...request, octets }, ...begun });
    }
    this.#report({ ...request, from: 0 }, heard);
  }

  /** Of a train that is about to begin. */
  #statusOf(transport: Transport, { octets, count }: TrainRequest): Outgoing["status"] {
    if (octets > BODY_OCTETS_MAX || count > TRAIN_PACKETS_MAX) return "tooMuch";
    if (count === 0) return "done";
    return this.#stateOf(transport).path === null ? "noPath" : "underWay";
  }

  #onAsk(message: Uint8Array, heard: HeardPath): void {
    const ask = decodeAsk(message);
    if (ask === "truncated") return;
    heard.proves(ask.token);
    this.#report(ask, heard);
  }

  #report(ask: Ask, heard: HeardPath): void {
    const transport = transportOf(ask.transport);
    if (transport === undefined) return;
    const about = this.#stateOf(transport);
    const train = this.#outgoing.get(ask.train);
    const arrivals = this.#arrivals.get(ask.train);
    const { path } = about;
    const body = encodeReport({
      status: train?.status ?? "none",
      ...{ transport: ask.transport, train: ask.train, from: ask.from, token: heard.token },
      sent: (train?.sent ?? 0) - (train?.unsent ?? 0),
      received: arrivals?.received ?? 0,
      duplicates: arrivals?.duplicates ?? 0,
      reordered: arrivals?.reordered ?? 0,
      displacement: arrivals?.displacement ?? 0,
      remarked: arrivals?.remarked ?? 0,
      trafficClass: arrivals?.trafficClass ?? 0,
      remarkedTo: arrivals?.remarkedTo ?? 0,
      ...{ mangled: about.mangledCount, positions: about.positions },
      ...{ hopsMin: about.hopsMin, hopsMax: about.hopsMax },
      family: path === null || !about.wasHeard ? 0 : path[PATH_AT.family] === 6 ? 6 : 4,
      ...(path === null ? { port: 0, address: new Uint8Array(16) } : observedFrom(path)),
      arrivalsUs: arrivals?.since(ask.from, REPORT_ARRIVALS_MAX) ?? [],
    });
    this.#answer(heard, body, 0);
  }

  #depart(nowUs: TimeUs, train: Outgoing): ProbeAnswer | null {
    const { request, transport } = train;
    const state = this.#stateOf(transport);
    const { path } = state;
    if (path === null || !this.#mayReceive(state, request.octets)) {
      train.status = path === null ? "noPath" : "tooMuch";
      return null;
    }
    if (!this.#budget.take(nowUs, request.octets)) return null;
    const { train: number, count, octets, trafficClass } = request;
    const fields = { transport: request.transport, train: number, count, octets, trafficClass };
    const rest = {
      echo: "no",
      otherProtocol: false,
      index: train.sent,
      sentUs: nowUs,
      token: state.token,
    } as const;
    train.sent += 1;
    train.nextUs += request.intervalUs;
    if (train.sent === count) train.status = "done";
    state.sentOctets += octets;
    return { path, body: encodeTrain({ ...fields, ...rest }), trafficClass };
  }

  #answer(to: HeardPath, body: Uint8Array, trafficClass: number): void {
    const { path } = to;
    if (path === null || this.#answers.length >= ANSWERS_MAX) return;
    if (!this.#mayReceive(to, body.length)) return;
    to.sentOctets += body.length;
    this.#answers.push({ path, body, trafficClass });
  }

  #mayReceive(state: HeardPath, octets: number): boolean {
    if (state.mayReceive(octets)) return true;
    return [...this.#paths.values()].some((other) => other.validated && other.sameHost(state));
  }

  #heard(transport: Transport, path: Path): HeardPath {
    const state = this.#stateOf(transport);
    state.moveTo(path, this.#random);
    return state;
  }

  #stateOf(transport: Transport): HeardPath {
    const known = this.#paths.get(transport);
    if (known !== undefined) return known;
    const state = new HeardPath();
    this.#paths.set(transport, state);
    return state;
  }

  /** The address of another transport, if that is the probing side's own; a connection cannot be guessed. */
  #derive(transport: Transport, { local, port }: TrainRequest, from: HeardPath): void {
    const { path } = from;
    if (transport === "tcp" || path === null || !from.validated) return;
    const { address } = observedFrom(path);
    if (Buffer.compare(address, local) !== 0) return;
    const derived = derivedPath(path, transportNumber(transport), transport === "raw" ? 0 : port);
    this.#stateOf(transport).guess(derived, this.#random);
  }
}
