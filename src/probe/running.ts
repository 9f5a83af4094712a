/**
 * One train under way, as the probing side has it: packets that leave, packets that come, and what
 * the other side reports, page by page. No socket, no clock.
 */
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { transportNumber } from "../core/transport.ts";
import {
  encodeAsk,
  encodeRequest,
  encodeTrain,
  REPORT_ARRIVALS_MAX,
  type Report,
  type TrainPacket,
} from "../wire/measure.ts";
import { Arrivals, transitUs } from "./arrivals.ts";
import type { UnsentReason } from "./measurement.ts";
import { carriageOctets, type PlannedTrain } from "./plan.ts";

/** After the last packet of a train so long is waited for late ones. */
const SETTLE_US = 300 * MS;
/** A question without an answer is asked again. */
const RETRY_US = 250 * MS;
/** Then a train is finished with what is known of it. */
const PATIENCE_US = 4 * SECOND;

/** What every message along a path carries. */
export interface Voice {
  /** The other side's token for the transport that this leaves by. */
  readonly token: number;
  /** Our address, if no address translation stands between; all 0 else. */
  readonly local: Uint8Array;
  readonly derive: boolean;
  /** Of the transport asked about. */
  readonly port: number;
}

export class RunningTrain {
  readonly number: number;
  readonly planned: PlannedTrain;
  /** Arrivals here: of the other side's packets, or of ours that came back. */
  readonly arrivals: Arrivals;
  /** Microseconds on our clock, as each of ours left. */
  readonly departuresUs: Float64Array;
  /** Microseconds since the first arrival there; -1: not known to have arrived. */
  readonly toldUs: Float64Array;
  readonly unsent: Partial<Record<UnsentReason, number>> = {};
  /** The newest. */
  report: Report | null = null;
  /** Packets that were given to a socket. */
  departed = 0;
  nextUs: TimeUs;
  /** Round trips of those that came back. */
  readonly rttsUs: number[] = [];
  readonly #family: 4 | 6;
  /** When the last packet leaves or is due; for a requested train known when it was granted. */
  #endUs: TimeUs;
  #granted = false;
  #abandoned = false;
  readonly #askedUs: Float64Array;
  readonly #told: Uint8Array;
  #tries = 0;

  constructor(nowUs: TimeUs, number: number, planned: PlannedTrain, family: 4 | 6) {
    const { count, startUs, intervalUs } = planned;
    this.number = number;
    this.planned = planned;
    this.#family = family;
    this.arrivals = new Arrivals(count, true);
    this.departuresUs = new Float64Array(count);
    this.toldUs = new Float64Array(count).fill(-1);
    this.nextUs = nowUs + startUs;
    this.#endUs = this.nextUs + count * intervalUs;
    const pages = this.#ours ? Math.ceil(count / REPORT_ARRIVALS_MAX) : 1;
    this.#askedUs = new Float64Array(pages).fill(Number.NEGATIVE_INFINITY);
    this.#told = new Uint8Array(pages);
  }

  /** All packets have left, or ought to have come. */
  isOver(nowUs: TimeUs): boolean {
    if (this.#abandoned) return true;
    return this.#ours ? this.departed === this.planned.count : nowUs >= this.#endUs;
  }

  /** Nothing more will be known. */
  get isFinished(): boolean {
    return this.#told.every((told) => told === 1);
  }

  /** Stops asking when nobody has answered for long. */
  expire(nowUs: TimeUs): void {
    if (this.isOver(nowUs) && nowUs >= this.#endUs + SETTLE_US + PATIENCE_US) this.#told.fill(1);
  }

  /** Its transport has failed: nothing more leaves, and nobody waits. */
  abandon(): void {
    this.#told.fill(1);
    this.#abandoned = true;
  }

  /** When the next packet of ours leaves. */
  get departUs(): TimeUs {
    if (!this.#ours || this.#abandoned || this.departed === this.planned.count) return NEVER;
    return this.nextUs;
  }

  depart(nowUs: TimeUs, voice: Voice): Uint8Array {
    const { transport, direction, trafficClass, count, intervalUs } = this.planned;
    const index = this.departed;
    this.departuresUs[index] = nowUs;
    this.departed += 1;
    this.nextUs += intervalUs;
    if (this.departed === count) this.#endUs = nowUs;
    return encodeTrain({
      ...{ transport: transportNumber(transport), trafficClass, train: this.number, index, count },
      echo: direction === "echo" ? "wanted" : "no",
      otherProtocol: this.planned.name === "otherProtocol",
      ...{ octets: this.#bodyOctets, sentUs: nowUs, token: voice.token },
    });
  }

  noteUnsent(reason: UnsentReason): void {
    this.unsent[reason] = (this.unsent[reason] ?? 0) + 1;
  }

  /** When the next question is due. */
  askUs(): TimeUs {
    if (this.isFinished) return NEVER;
    if (!this.#ours && !this.#granted) return Math.max(this.nextUs, this.#askedUs[0] as number);
    const page = this.#nextPage();
    return Math.max(this.#endUs + SETTLE_US, this.#askedUs[page] as number);
  }

  /** The question that is due, and how often it was asked before. */
  ask(nowUs: TimeUs, voice: Voice): Uint8Array {
    const page = this.#nextPage();
    this.#askedUs[page] = nowUs + RETRY_US;
    this.#tries += 1;
    const transport = transportNumber(this.planned.transport);
    const { token } = voice;
    if (this.#ours || this.#granted) {
      return encodeAsk({ transport, train: this.number, from: page * REPORT_ARRIVALS_MAX, token });
    }
    const { trafficClass, count, intervalUs } = this.planned;
    return encodeRequest({
      ...{ transport, trafficClass, train: this.number, count, intervalUs, ...voice },
      octets: this.#bodyOctets,
    });
  }

  /** Questions asked, for choosing another way when there is no answer. */
  get tries(): number {
    return this.#tries;
  }

  onPacket(nowUs: TimeUs, packet: TrainPacket, trafficClass: number): void {
    if (packet.index >= this.planned.count) return;
    const known = this.arrivals.received;
    this.arrivals.note(nowUs, packet, trafficClass);
    if (packet.echo !== "is" || this.arrivals.received === known) return;
    this.rttsUs.push(nowUs - (this.departuresUs[packet.index] as number));
  }

  onReport(nowUs: TimeUs, report: Report): void {
    this.report = report;
    this.#tries = 0;
    if (this.#ours) this.#onPage(report);
    else if (!this.#granted) this.#onGrant(nowUs, report);
    else if (report.status !== "underWay") this.#told[0] = 1;
  }

  get #ours(): boolean {
    return this.planned.direction !== "down";
  }

  get #bodyOctets(): number {
    return this.planned.octets - carriageOctets(this.planned.transport, this.#family);
  }

  #nextPage(): number {
    let next = 0;
    let nextUs = NEVER;
    for (let page = 0; page < this.#told.length; page += 1) {
      if (this.#told[page] === 1 || (this.#askedUs[page] as number) >= nextUs) continue;
      next = page;
      nextUs = this.#askedUs[page] as number;
    }
    return next;
  }

  #onPage(report: Report): void {
    const page = report.from / REPORT_ARRIVALS_MAX;
    if (!Number.isInteger(page) || page >= this.#told.length) return;
    this.#told[page] = 1;
    report.arrivalsUs.forEach((atUs, index) => {
      if (report.from + index < this.planned.count) this.toldUs[report.from + index] = atUs;
    });
    // No arrival at all: there are no further pages to ask for.
    if (report.received === 0) this.#told.fill(1);
  }

  #onGrant(nowUs: TimeUs, report: Report): void {
    if (report.status === "none") return;
    this.#granted = true;
    this.#askedUs[0] = nowUs;
    this.#endUs = nowUs + this.planned.count * this.planned.intervalUs;
    if (report.status !== "underWay" && report.status !== "done") this.#told[0] = 1;
  }

  /** Transit times of our packets in order of arrival there, on clocks with an unknown offset. */
  get transitsThereUs(): number[] {
    const seen = Array.from(this.toldUs, (atUs, index) => ({ atUs, index }));
    const arrived = seen.filter(({ atUs }) => atUs >= 0).sort((a, b) => a.atUs - b.atUs);
    return arrived.map(({ atUs, index }) =>
      transitUs(atUs, (this.departuresUs[index] ?? 0) % 2 ** 32),
    );
  }
}
