/**
 * Hop by hop, raw IP and UDP side by side: which routers still answer for a packet of each protocol whose
 * hop limit ends there. The last that does and the first that does not say where a protocol dies. No
 * socket, no clock. One packet of a transport is under way at a time, so that an ICMP answer that quotes
 * too little still belongs to it.
 */
import { MS, NEVER, type TimeUs } from "../core/time.ts";

export const TRACED = ["raw", "udp"] as const;
export type Traced = (typeof TRACED)[number];

/** Hops at the most. */
const HOPS_MAX = 30;
/** After so many silent hops behind the last one that answered there are no more. */
const SILENT_MAX = 4;
/** Packets for a hop that does not answer. */
const TRIES_MAX = 3;
const WAIT_US = 400 * MS;
/** Routers limit how often they answer. */
const GAP_US = 50 * MS;

export interface Hop {
  /** Hop limit that the packet left with. */
  readonly hops: number;
  /** Who answered; null: nobody. */
  readonly from: string | null;
  /** Type and code of the ICMP answer; null: none, or it was the portal's own echo. */
  readonly icmp: readonly [type: number, code: number] | null;
  readonly rttUs: number | null;
  /** The portal has it, or its host has refused it. */
  readonly reached: boolean;
}

export type TraceResult = Readonly<Record<Traced, readonly Hop[]>>;

export interface TracePacket {
  readonly transport: Traced;
  readonly hops: number;
  /** Number of the packet, over both transports. */
  readonly index: number;
}

interface Course {
  readonly hops: Hop[];
  tries: number;
  /** Of the packet under way; -1: none. */
  index: number;
  sentUs: TimeUs;
  /** When the next may leave, or the one under way is given up. */
  nextUs: TimeUs;
  ended: boolean;
}

export class Tracer {
  readonly #remote: string;
  readonly #courses: Record<Traced, Course>;
  #next = 0;

  /** @param remote - address of the Remote Portal, text */
  constructor(nowUs: TimeUs, remote: string, transports: readonly Traced[]) {
    this.#remote = remote;
    const course = (transport: Traced): Course => ({
      ...{ hops: [], tries: 0, index: -1, sentUs: 0, nextUs: nowUs },
      ended: !transports.includes(transport),
    });
    this.#courses = { raw: course("raw"), udp: course("udp") };
  }

  poll(nowUs: TimeUs): TracePacket | null {
    for (const transport of TRACED) {
      const course = this.#courses[transport];
      if (course.ended || nowUs < course.nextUs) continue;
      if (course.index >= 0) this.#giveUp(course);
      if (course.ended) continue;
      course.tries += 1;
      course.index = this.#next;
      course.sentUs = nowUs;
      course.nextUs = nowUs + WAIT_US;
      this.#next += 1;
      return { transport, hops: course.hops.length + 1, index: course.index };
    }
    return null;
  }

  deadlineUs(): TimeUs {
    const { raw, udp } = this.#courses;
    return Math.min(raw.ended ? NEVER : raw.nextUs, udp.ended ? NEVER : udp.nextUs);
  }

  get done(): boolean {
    return this.#courses.raw.ended && this.#courses.udp.ended;
  }

  icmp(nowUs: TimeUs, transport: Traced, type: number, code: number, from: string): void {
    const course = this.#courses[transport];
    if (course.ended || course.index < 0) return;
    const reached = from === this.#remote;
    this.#answered(nowUs, course, { from, icmp: [type, code], reached });
    // A router that refuses says so for every hop behind it as well.
    if (!isTimeExceeded(type, from)) course.ended = true;
  }

  /** The Remote Portal sent a packet back. */
  echo(nowUs: TimeUs, transport: Traced, index: number): void {
    const course = this.#courses[transport];
    if (course.ended || course.index !== index) return;
    this.#answered(nowUs, course, { from: this.#remote, icmp: null, reached: true });
  }

  result(): TraceResult {
    const trimmed = (hops: readonly Hop[]) => {
      const last = hops.findLastIndex(({ from }) => from !== null);
      return hops.slice(0, Math.max(last + 2, 1));
    };
    return { raw: trimmed(this.#courses.raw.hops), udp: trimmed(this.#courses.udp.hops) };
  }

  #answered(nowUs: TimeUs, course: Course, answer: Pick<Hop, "from" | "icmp" | "reached">): void {
    const rttUs = nowUs - course.sentUs;
    course.hops.push({ hops: course.hops.length + 1, rttUs, ...answer });
    this.#nextHop(course, nowUs + GAP_US);
    if (answer.reached) course.ended = true;
  }

  #giveUp(course: Course): void {
    if (course.tries < TRIES_MAX) return;
    const hops = course.hops.length + 1;
    course.hops.push({ hops, from: null, icmp: null, rttUs: null, reached: false });
    this.#nextHop(course, course.nextUs);
    const silent = course.hops.slice(-SILENT_MAX);
    if (silent.length === SILENT_MAX && silent.every(({ from }) => from === null)) {
      course.ended = true;
    }
  }

  #nextHop(course: Course, nextUs: TimeUs): void {
    course.tries = 0;
    course.index = -1;
    course.nextUs = nextUs;
    if (course.hops.length >= HOPS_MAX) course.ended = true;
  }
}

/** ICMP type 11 (RFC 792), ICMPv6 type 3 (RFC 4443). */
export function isTimeExceeded(type: number, from: string): boolean {
  return type === (from.includes(":") ? 3 : 11);
}

/** Where raw IP is last seen and where UDP is: one sentence; null when both get through. */
export function traceSentence({ raw, udp }: TraceResult): string | null {
  const reached = (hops: readonly Hop[]) => hops.some((hop) => hop.reached);
  if (reached(raw)) return null;
  const last = raw.findLast(({ from }) => from !== null);
  const refuses =
    last !== undefined && last.icmp !== null && !isTimeExceeded(last.icmp[0], last.from ?? "");
  if (refuses)
    return `raw IP is refused at hop ${last.hops} by ${last.from} (ICMP ${last.icmp?.join("/")})`;
  const behind = (last?.hops ?? 0) + 1;
  const first = udp.find(({ hops, from }) => hops >= behind && from !== null);
  const seen =
    last === undefined
      ? "raw IP is seen at no hop"
      : `raw IP is last seen at hop ${last.hops} (${last.from})`;
  if (first === undefined) return `${seen}, and UDP goes no further`;
  return `${seen}; UDP goes on to hop ${first.hops} (${first.from}), where raw IP is not seen any more`;
}
