/**
 * Two bonds joined by emulated links in virtual time: no socket, no clock, no addon. A link is a rate, a
 * queue, a propagation delay and a rule for loss; the same seed gives the same run.
 */
import { Bond } from "../../src/bond/bond.ts";
import { NewReno } from "../../src/cc/newreno.ts";
import { Arena } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, SECOND, type TimeUs } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import { TYPE, typeOf } from "../../src/wire/preamble.ts";

export interface PairLink {
  /** Octets per microsecond, each way. */
  readonly rate: number;
  readonly delayUs: number;
  /** Octets that wait at the bottleneck at the most. */
  readonly queueBytes: number;
  /** Share of packets lost, 0..1. */
  readonly loss: number;
}

export const MBIT = 1 / 8;
const MSS = 1500;
/** IPv4 header and tag. */
const CARRIAGE = 30;
const TICK_US = 1 * MS;

interface Event {
  readonly atUs: TimeUs;
  readonly order: number;
  readonly run: () => void;
}

/** One end of the pair. */
export class Side {
  readonly arena = new Arena(16_384);
  readonly bond = new Bond(this.arena);
  /** Numbers found in the first octets behind the IP header of delivered packets. */
  readonly delivered: number[] = [];
  #sent = 0;

  constructor(links: readonly PairLink[]) {
    for (const number of links.keys()) {
      const controller = new NewReno(MSS);
      const { arena } = this;
      this.bond.add(new Link({ number, name: `l${number}`, arena, controller, mssBytes: MSS }));
    }
  }

  /** Puts a numbered IPv4/UDP packet of `bytes` octets into the queue. */
  offer(nowUs: TimeUs, bytes: number, port = 1000): void {
    const slot = this.arena.take();
    if (slot < 0) return;
    const packet = new Uint8Array(bytes);
    packet.set([0x45, 0, bytes >> 8, bytes & 0xff, 0, 0, 0, 0, 64, 17]);
    packet.set([10, 0, 0, 1, 10, 0, 0, 2, port >> 8, port & 0xff, 0, 9], 12);
    new DataView(packet.buffer).setUint32(28, this.#sent);
    this.#sent += 1;
    this.arena.write(slot, packet);
    this.bond.enqueue(nowUs, slot);
  }

  get offered(): number {
    return this.#sent;
  }
}

export class Pair {
  nowUs: TimeUs = 0;
  readonly a: Side;
  readonly b: Side;
  /** Packets that the emulated links lost or had no room for. */
  dropped = 0;
  readonly #links: readonly PairLink[];
  readonly #random: SeededRandom;
  readonly #cut = new Set<string>();
  readonly #freeUs = new Map<string, TimeUs>();
  #events: Event[] = [];
  #order = 0;

  constructor(seed: number, links: readonly PairLink[]) {
    this.#links = links;
    this.#random = new SeededRandom(seed);
    this.a = new Side(links);
    this.b = new Side(links);
    for (const side of [this.a, this.b]) {
      for (const link of side.bond.links) {
        link.carriageOctets = CARRIAGE;
        link.attach(0);
      }
    }
  }

  /** Packets from A to B (`up`) or B to A (`down`) vanish on this link from now on. */
  cut(link: number, direction: "up" | "down"): void {
    this.#cut.add(`${link}${direction}`);
  }

  restore(link: number): void {
    this.#cut.delete(`${link}up`);
    this.#cut.delete(`${link}down`);
  }

  at(atUs: TimeUs, run: () => void): void {
    this.#events.push({ atUs, order: this.#order, run });
    this.#order += 1;
  }

  /** Runs until `untilUs`; `feed` is called every tick. */
  run(untilUs: TimeUs, feed: (nowUs: TimeUs) => void = () => {}): void {
    while (this.nowUs < untilUs) {
      const tickUs = this.nowUs + TICK_US;
      this.#runEvents(tickUs);
      this.nowUs = tickUs;
      feed(tickUs);
      this.#settle();
    }
  }

  #runEvents(untilUs: TimeUs): void {
    for (;;) {
      this.#events.sort((x, y) => x.atUs - y.atUs || x.order - y.order);
      const next = this.#events[0];
      if (next === undefined || next.atUs > untilUs) return;
      this.#events.shift();
      this.nowUs = next.atUs;
      next.run();
      this.#settle();
    }
  }

  #settle(): void {
    this.#drain(this.a, this.b, "up");
    this.#drain(this.b, this.a, "down");
  }

  #drain(from: Side, to: Side, direction: "up" | "down"): void {
    from.bond.tick(this.nowUs);
    takeReady(from);
    for (;;) {
      const more = from.bond.pull(this.nowUs);
      for (const link of from.bond.links) {
        for (let index = 0; index < link.outboxCount; index += 1) {
          this.#carry(from, to, link.number, direction, link.outbox[index] as number);
        }
        link.drained(link.outboxCount);
      }
      if (!more) return;
    }
  }

  #carry(from: Side, to: Side, number: number, direction: string, slot: number): void {
    const octets = from.arena.read(slot);
    const seq = from.arena.seq[slot] as number;
    from.arena.give(slot);
    const arrivalUs = this.#arrival(number, direction, octets.length + CARRIAGE);
    if (arrivalUs === undefined) {
      this.dropped += 1;
      return;
    }
    this.at(arrivalUs, () => deliver(this.nowUs, to, number, octets, seq));
  }

  #arrival(number: number, direction: string, bytes: number): TimeUs | undefined {
    const link = this.#links[number] as PairLink;
    const key = `${number}${direction}`;
    if (this.#cut.has(key) || this.#random.next() < link.loss) return undefined;
    const freeUs = Math.max(this.#freeUs.get(key) ?? 0, this.nowUs);
    if ((freeUs - this.nowUs) * link.rate + bytes > link.queueBytes) return undefined;
    this.#freeUs.set(key, freeUs + bytes / link.rate);
    return freeUs + bytes / link.rate + link.delayUs;
  }
}

function deliver(nowUs: TimeUs, to: Side, number: number, octets: Uint8Array, seq: number): void {
  const { arena, bond } = to;
  const slot = arena.take();
  const link = bond.link(number);
  if (slot < 0 || link === undefined) return;
  arena.write(slot, octets);
  arena.seq[slot] = seq;
  arena.info[slot] = 0;
  if (typeOf(arena, slot) === TYPE.data) {
    bond.receive(nowUs, link, slot);
    return;
  }
  bond.receiveFeedback(nowUs, link, slot);
  arena.give(slot);
}

/** Takes what a bond has set free. */
function takeReady({ arena, bond, delivered }: Side): void {
  const { arrived } = bond;
  for (let index = 0; index < arrived.readyCount; index += 1) {
    const slot = arrived.ready[index] as number;
    delivered.push(arena.view.getUint32((arena.start[slot] as number) + 28));
    arena.give(slot);
  }
  arrived.readyCount = 0;
}

/** 20 Mbit/s, 10 ms each way, 50 ms of queue. */
export const DSL: PairLink = {
  rate: 20 * MBIT,
  delayUs: 10 * MS,
  queueBytes: 20 * MBIT * 50 * MS,
  loss: 0,
};

/** Goodput of what B got, octets a second. */
export function goodput(pair: Pair, bytes: number): number {
  return (pair.b.delivered.length * bytes) / (pair.nowUs / SECOND);
}
