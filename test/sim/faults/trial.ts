/**
 * Plays a schedule and says what was wrong. What must hold: nothing comes out twice, changed or without having
 * gone in; order within flows; limits at every wake-up; what is lost has a reason; and when all is well again,
 * every link carries packets (but one that flapped and has to prove itself) and connections get their share of
 * what the links have; at the end no slot is missing.
 */
import { MS, SECOND, type TimeUs } from "../../../src/core/time.ts";
import type { Life } from "../../../src/link/life.ts";
import type { Witness } from "../ends.ts";
import type { Portal } from "../portal.ts";
import { Ledger } from "./ledger.ts";
import { Limits } from "./limits.ts";
import { Play } from "./play.ts";
import { Reasons } from "./reasons.ts";
import type { Schedule } from "./schedule.ts";
import { STREAMS_MBIT, Traffic } from "./traffic.ts";

/** Of the healing, how long the links get before they are judged. */
const HEALED_SHARE = 0.5;
/** Of what the links carry together, what comes through at least in the time that is judged; 0.83 in the median. */
const GOODPUT_SHARE = 1 / 3;
/** A link that is asked often and answers has done so within this time. */
const ANSWERED_US = 1 * SECOND;
/** How long everything may take to come home when nothing is put in any more. */
const DRAIN_US = 10 * SECOND;
/** And then what idle links were asked, and the answers. */
const HUSH_US = 2 * SECOND;
/** No packet is under way longer, from TUN to TUN: waiting, repair and restoring order have their limits. */
const DELAY_MAX_US = 5 * SECOND;
/** What is wrong once is wrong many times: the first ones tell. */
const WRONGS_MAX = 20;

export interface Values {
  /** Inner packets, both ways. */
  readonly entered: number;
  readonly emerged: number;
  /** Packets that left and never came out, and how many of them while some link was well. */
  readonly lost: number;
  readonly lostWithoutReason: number;
  /** Sent again; given up by repair; out of order. */
  readonly resent: number;
  readonly abandoned: number;
  readonly overtaken: number;
  /** Of what the links carry when all is well again, the share that comes through; of the worse way. */
  readonly goodputShare: number;
  readonly delayMaxMs: number;
  readonly queuePackets: number;
  readonly repairPackets: number;
  readonly heldPackets: number;
  readonly wakesASecond: number;
  /** Sessions made after the first, at either portal. */
  readonly renewals: number;
  /** New keys for a session that goes on; links that B has followed to another address. */
  readonly rekeys: number;
  readonly moves: number;
}

export interface Trial {
  readonly seed: number;
  /** Empty: everything held. */
  readonly wrong: readonly string[];
  /** Equal for equal runs. */
  readonly hash: string;
  readonly values: Values;
}

/** The same schedule gives the same trial. */
export function playSchedule(schedule: Schedule): Trial {
  return new Run(schedule).play();
}

class Run {
  readonly #schedule: Schedule;
  readonly #play: Play;
  readonly #reasons: Reasons;
  readonly #wrong: string[] = [];
  readonly #ways: readonly [up: Traffic, down: Traffic];
  readonly #limits: readonly Limits[];
  /** Long packets out of order; and those of them while all links were well. */
  #overtaken = 0;
  #overtakenInCalm = 0;
  #renewalsSeen = 0;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
    this.#play = new Play(schedule);
    this.#reasons = new Reasons(schedule);
    const { world } = this.#play;
    const [up, down] = [this.#ledger("A to B"), this.#ledger("B to A")];
    world.a.witness = witness(up, down);
    world.b.witness = witness(down, up);
    this.#limits = [this.#watch(world.a, "A"), this.#watch(world.b, "B")];
    this.#ways = [new Traffic(world, "a", up), new Traffic(world, "b", down)];
  }

  play(): Trial {
    const { world } = this.#play;
    const { seed, healMs, endMs } = this.#schedule;
    world.run(healMs * MS);
    for (const way of this.#ways) way.addConnection();
    world.run((healMs + HEALED_SHARE * (endMs - healMs)) * MS);
    world.mark();
    const before = this.#ways.map(linksOf);
    world.run(endMs * MS);
    const goodputShares = this.#ways.map((way, index) => {
      const usable = this.#judgeLinks(way, before[index] ?? []);
      return this.#goodputShare(way, usable);
    });
    const goodputShare = Math.min(...goodputShares);
    if (goodputShare < GOODPUT_SHARE)
      this.#fail(`goodput is ${goodputShare.toFixed(2)} of the links`);
    this.#drain();
    this.#judgeEnd();
    return { seed, wrong: this.#wrong, hash: this.#hash(), values: this.#values(goodputShare) };
  }

  #ledger(name: string): Ledger {
    const ledger = new Ledger(this.#play.world.arena, (what) => this.#fail(`${name}: ${what}`));
    ledger.onOvertaken = (nowUs) => {
      this.#overtaken += 1;
      if (this.#reasons.calm(nowUs)) this.#overtakenInCalm += 1;
    };
    return ledger;
  }

  #watch(portal: Portal, name: string): Limits {
    const limits = new Limits(portal, name, (what) => this.#fail(what));
    portal.onSettled = (nowUs) => {
      limits.look(nowUs);
      this.#noteRenewals(nowUs);
    };
    return limits;
  }

  /** A new session is a reason to lose what the old one had. */
  #noteRenewals(nowUs: TimeUs): void {
    if (this.#play.sessions.renewals === this.#renewalsSeen) return;
    this.#renewalsSeen = this.#play.sessions.renewals;
    this.#reasons.renewed(nowUs);
  }

  #fail(what: string): void {
    if (this.#wrong.length >= WRONGS_MAX) return;
    this.#wrong.push(`${(this.#play.world.nowUs / SECOND).toFixed(3)} s: ${what}`);
  }

  /** Every link carries packets; those by number that did so all the time. */
  #judgeLinks({ from }: Traffic, before: readonly LinkState[]): number[] {
    const name = from === this.#play.world.a ? "A" : "B";
    const nowUs = from.clock(this.#play.world.nowUs);
    const usable: number[] = [];
    for (const { number, life, counters } of from.bond.links) {
      const earlier = before.find((link) => link.number === number);
      if (isProving(life, nowUs)) continue;
      if (life.tag === "down" || life.tag === "connecting") {
        this.#fail(`link ${number} is ${life.tag} at ${name}`);
      } else if (earlier?.up === true) {
        usable.push(number);
        if (counters.packetsOut === earlier.sent) this.#fail(`link ${number} idle at ${name}`);
      }
    }
    return usable;
  }

  /** Of what these links carry, the share that comes through. */
  #goodputShare(way: Traffic, usable: readonly number[]): number {
    const rates = usable.map((number) => {
      const { upMbit = 0, downMbit = 0 } = this.#schedule.links[number] ?? {};
      return way.from === this.#play.world.a ? upMbit : downMbit;
    });
    const carriedMbit = rates.reduce((sum, rate) => sum + rate, 0);
    return carriedMbit === 0 ? 1 : (way.goodputMbit() + STREAMS_MBIT) / carriedMbit;
  }

  /** Nothing is put in any more, and everything comes home. */
  #drain(): void {
    const { world } = this.#play;
    for (const way of this.#ways) {
      way.stop();
      way.from.tunOpen = false;
    }
    world.run(world.nowUs + DRAIN_US);
    world.hush(world.nowUs + HUSH_US);
  }

  #judgeEnd(): void {
    const { arena } = this.#play.world;
    const missing = arena.slotCount - arena.freeCount;
    if (missing !== 0) this.#fail(`${missing} slots have not come home`);
    const values = this.#values(1);
    if (values.lostWithoutReason > values.abandoned) {
      const { lostWithoutReason, abandoned } = values;
      this.#fail(`${lostWithoutReason} packets lost while a link was well, ${abandoned} given up`);
    }
    const asleepMs = this.#schedule.faults
      .filter(({ kind }) => kind === "suspend")
      .map(({ fromMs, toMs }) => toMs - fromMs);
    const limitMs = DELAY_MAX_US / MS + Math.max(0, ...asleepMs);
    if (values.delayMaxMs > limitMs) this.#fail(`under way for ${values.delayMaxMs} ms`);
    this.#judgeOrder();
    this.#judgeQueues(values);
  }

  /** Who comes out late while all is well was waited for in vain, and is counted. */
  #judgeOrder(): void {
    const late = this.#sum(
      (limits) => [...limits.arrivals],
      (arrived) => arrived.late,
    );
    const overtaken = this.#overtakenInCalm;
    if (overtaken > late) this.#fail(`${overtaken} packets out of order, ${late} were late`);
  }

  /** What went in left, or the queue counted it, or it died with its process, or waited for a full socket. */
  #judgeQueues({ abandoned }: Values): void {
    const waited = this.#ways.reduce((sum, { ledger }) => sum + ledger.entered - ledger.left, 0);
    const dropped = this.#sum(
      (limits) => [...limits.egresses],
      ({ queue, tooBig }) => queue.dropped + queue.overflowed + queue.expired + tooBig,
    );
    const { buried } = this.#play.sessions;
    if (waited < dropped || waited > dropped + buried + abandoned) {
      const others = `${dropped} were dropped, ${abandoned} given up and ${buried} died`;
      this.#fail(`${waited} packets never left, ${others}`);
    }
  }

  #values(goodputShare: number): Values {
    const ledgers = this.#ways.map(({ ledger }) => ledger);
    const total = (of: (ledger: Ledger) => number) =>
      ledgers.reduce((sum, one) => sum + of(one), 0);
    const peak = (of: (limits: Limits) => number) => Math.max(...this.#limits.map(of));
    const repairs = (limits: Limits) => [...limits.egresses].map(({ repair }) => repair);
    return {
      entered: total(({ entered }) => entered),
      emerged: total(({ emerged }) => emerged),
      lost: total((ledger) => ledger.lost(() => true)),
      lostWithoutReason: total((ledger) => ledger.lost((us) => !this.#reasons.mayLose(us))),
      resent: this.#sum(repairs, ({ resent }) => resent),
      abandoned: this.#sum(repairs, ({ abandoned }) => abandoned),
      overtaken: this.#overtaken,
      goodputShare,
      delayMaxMs: Math.max(...ledgers.map(({ delayMaxUs }) => delayMaxUs)) / MS,
      queuePackets: peak(({ peaks }) => peaks.queuePackets),
      repairPackets: peak(({ peaks }) => peaks.repairPackets),
      heldPackets: peak(({ peaks }) => peaks.heldPackets),
      wakesASecond: peak(({ peaks }) => peaks.wakesASecond),
      renewals: this.#play.sessions.renewals,
      rekeys: this.#play.sessions.rekeys,
      moves: this.#play.addresses.moves,
    };
  }

  #sum<T>(parts: (limits: Limits) => readonly T[], of: (part: T) => number): number {
    return this.#limits.flatMap(parts).reduce((sum, part) => sum + of(part), 0);
  }

  #hash(): string {
    const counts = this.#ways.map(({ ledger }) => `${ledger.entered}-${ledger.emerged}`);
    return [this.#play.world.hash, ...counts].join("-");
  }
}

interface LinkState {
  readonly number: number;
  readonly up: boolean;
  /** Inner packets. */
  readonly sent: number;
}

function linksOf({ from }: Traffic): LinkState[] {
  return from.bond.links.map(({ number, up, counters }) => ({
    number,
    up,
    sent: counters.packetsOut,
  }));
}

/** A link that flapped answers, but has not done so for long enough. */
function isProving(life: Life, nowUs: TimeUs): boolean {
  return life.tag === "down" && life.holdUs > 0 && nowUs - life.answeredUs < ANSWERED_US;
}

function witness(out: Ledger, back: Ledger): Witness {
  return {
    entered: (nowUs, slot) => out.enter(nowUs, slot),
    left: (nowUs, slot) => out.leave(nowUs, slot),
    emerged: (nowUs, slot) => back.emerge(nowUs, slot),
  };
}
