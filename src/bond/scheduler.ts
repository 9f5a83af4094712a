/**
 * Which link takes a packet: of those that have window and pacing budget, the one on which it is
 * expected to arrive first. Under load every link pulls what it can carry.
 *
 * A link that is farther than others has a gate. As long as the nearer links clear the backlog sooner than a
 * packet would cross the farther one, waiting for them is faster: a flow that the near links can carry
 * would only gain round-trip time (Lim et al., "ECF", CoNEXT 2017). When the backlog is longer the gate opens,
 * and it closes when what is carried would fit the nearer links again. To a packet that is too long for every nearer
 * link it is always open.
 */
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { LONG_OCTETS } from "../link/flight.ts";
import type { Link } from "../link/link.ts";

/** Links of a bond; their numbers are below this. */
export const LINKS_MAX = 16;

/** Links whose empty paths differ by less are equally near. */
const NEAR_US = 2 * MS;
/** A backlog longer than this opens any gate: beyond it the wait would cost more than it saves. */
const GATE_MAX_US = 100 * MS;
/**
 * A gate closes when what is sent is less than this share of what nearer links can carry: in so short a time that
 * bursts tell as much as rates...
 */
const CLOSE_SHARE = 0.85;
/** ... and smoothed over so many of them, since a flow in between is slower than on the nearer links alone. */
const CLOSE_MEAN_SHARE = 0.97;
const MEAN_MEASURES = 5;
/** Over this time what is sent is measured, and whether windows grow. */
const MEASURE_US = 100 * MS;
/** A window that exceeds its peak by so much has not found its path's capacity. */
const GROWING = 1.05;
/** A peak fades by this factor each time: to half in 7 s. */
const PEAK_DECAY = 0.99;

/**
 * What it costs to lose a packet that must not wait, or that was lost before: its flow waits for a
 * repair that may come too late. So a link that loses 1 % counts as 10 ms farther.
 */
const LOSS_COST_US = 1 * SECOND;

/** A link that has lost so many long packets in a row, whatever becomes of short ones, may carry none at all. */
const LONG_LOST_MIN = 3;

/** In place of the time: asks neither window nor pace. */
const URGENT = -1;

/** How much later than expected a packet may be, in mean deviations (as RFC 9002 section 6.2.1). */
const DEVIATIONS = 4;
const HOLD_MIN_US = 5 * MS;
const HOLD_MAX_US = 400 * MS;
/** A repair takes a round trip and an eighth, until the loss is told from reordering, and a wake-up or two. */
const REPAIR_SRTTS = 1.25;
const REPAIR_SLACK_US = 10 * MS;
const REPAIR_MAX_US = 400 * MS;

export class Scheduler {
  /** How long the packets of a flow may wait for a nearer link although a farther one is free. */
  allowanceUs = 0;
  /** What receivers are told, see `wire/feedback.ts`. */
  holdUs = HOLD_MIN_US;
  repairUs = 0;
  /** Octets per microsecond that all links together stand for. */
  capacity = 0;
  /** The longest round trip of an inner flow over these links alone, microseconds. */
  roundTripUs = 0;
  /**
   * Some link that is in use has not found its capacity yet: a sender that is told to slow down now
   * would need seconds to come back to a rate that the link would have had a moment later.
   */
  starting = true;
  readonly #links: readonly Link[];
  /** By index in `#links`: how much farther than the nearest, what nearer links carry, is the gate open. */
  readonly #farUs = new Float64Array(LINKS_MAX);
  readonly #nearer = new Float64Array(LINKS_MAX);
  /** Of the nearer links, the one that takes the longest packets. */
  readonly #widest: (Link | undefined)[] = [];
  /** By how much longer packets wait on it than on the nearest, microseconds; not less than 0. */
  readonly #aheadUs = new Float64Array(LINKS_MAX);
  /** At which it is taken to empty what is in flight, octets per microsecond. */
  readonly #rates = new Float64Array(LINKS_MAX);
  readonly #open = new Uint8Array(LINKS_MAX);
  /** The largest windows of the last seconds; whether one has just been exceeded. */
  readonly #peaks = new Float64Array(LINKS_MAX);
  #growing = false;
  #sentBytes = 0;
  #sentRate = 0;
  /** The measurements since a gate opened last, smoothed, and how many there have been, up to `MEAN_MEASURES`. */
  #meanRate = 0;
  #measures = 0;
  #measuredUs: TimeUs = 0;

  constructor(links: readonly Link[]) {
    this.#links = links;
  }

  /** Takes in what links have learnt since. Once a wake-up; `backlogBytes`: what waits for a link. */
  refresh(nowUs: TimeUs, backlogBytes: number): void {
    this.#measure(nowUs);
    this.#locate();
    this.allowanceUs = 0;
    this.capacity = 0;
    this.roundTripUs = 0;
    this.starting = this.#growing;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      this.#rates[index] = link.sender.serviceRate;
      if (!link.carries) continue;
      this.capacity += link.sender.capacity;
      const { controller } = link.sender;
      // What waits because we hold a link back for a moment is no congestion either.
      this.starting ||= controller.drain === "running" || (controller.starting && isUsed(link));
      this.roundTripUs = Math.max(this.roundTripUs, link.rtt.srttUs + this.holdUs);
      this.#turnGate(nowUs, index, backlogBytes);
    }
  }

  /** The link to take a packet of `bytes` octets now, or undefined when none may yet. */
  pick(nowUs: TimeUs, bytes: number, backlogBytes: number): Link | undefined {
    const best = this.#best(nowUs, bytes, backlogBytes, 0, undefined);
    if (best !== undefined) this.#sentBytes += bytes + best.carriageOctets;
    return best;
  }

  /**
   * The link on which a packet that must not wait is best sent, whatever its window says: such packets
   * are few, and their share is bounded by the queue. `other`: not this one.
   */
  pickUrgent(bytes: number, other?: Link): Link | undefined {
    return this.#best(URGENT, bytes, Number.POSITIVE_INFINITY, LOSS_COST_US, other);
  }

  /** The link on which a packet that was lost is best sent again, gates or not; undefined: none may yet. */
  pickRepair(nowUs: TimeUs, bytes: number): Link | undefined {
    return this.#best(nowUs, bytes, Number.POSITIVE_INFINITY, LOSS_COST_US, this.#shunned(bytes));
  }

  /** Of the links that may take it, the one on which it arrives first; what a link loses counts as distance. */
  #best(
    nowUs: TimeUs,
    bytes: number,
    backlogBytes: number,
    lossCostUs: number,
    other: Link | undefined,
  ): Link | undefined {
    let best: Link | undefined;
    let bestUs = Number.POSITIVE_INFINITY;
    const count = this.#links.length;
    for (let index = 0; index < count; index += 1) {
      const link = this.#links[index] as Link;
      const may = nowUs === URGENT ? link.mayTakeUrgent(bytes) : link.mayTake(nowUs, bytes);
      if (!may || link === other || !this.#gate(index, bytes, backlogBytes)) continue;
      if (count === 1) return link;
      const lossUs = lossCostUs * link.sender.lossShare;
      const arrivalUs =
        (this.#farUs[index] as number) + link.sender.waitUs(this.#rates[index] as number) + lossUs;
      if (arrivalUs >= bestUs) continue;
      best = link;
      bestUs = arrivalUs;
    }
    return best;
  }

  /**
   * When a link that may take a packet of `bytes` octets will have pace for it; Infinity: only an event
   * (feedback, a longer backlog, a link that comes up) can make room. A closed gate is no reason to wake up.
   */
  readyUs(nowUs: TimeUs, bytes: number, backlogBytes: number, other?: Link): TimeUs {
    let readyUs = NEVER;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (link === other || !this.#gate(index, bytes, backlogBytes)) continue;
      readyUs = Math.min(readyUs, link.pacedUntilUs(nowUs, bytes));
    }
    return readyUs;
  }

  /** The same of a packet that was lost. */
  readyAgainUs(nowUs: TimeUs, bytes: number): TimeUs {
    return this.readyUs(nowUs, bytes, Number.POSITIVE_INFINITY, this.#shunned(bytes));
  }

  /** The link that is to get no repair of `bytes`, since it seems to lose all that is long and another one does not. */
  #shunned(bytes: number): Link | undefined {
    if (bytes < LONG_OCTETS) return undefined;
    let shunned: Link | undefined;
    let others = false;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (!link.carries || link.held || link.blocked || !link.fits(bytes)) continue;
      if (link.sender.longLost < LONG_LOST_MIN) others = true;
      else shunned ??= link;
    }
    return others ? shunned : undefined;
  }

  #gate(index: number, bytes: number, backlogBytes: number): boolean {
    if (this.#open[index] === 1 || this.#widest[index]?.fits(bytes) === false) return true;
    return backlogBytes > (this.#nearer[index] as number) * this.#thresholdUs(index);
  }

  /** How much later a packet arrives by this link than by the nearest: its path, and what already waits before it. */
  #thresholdUs(index: number): number {
    return Math.min((this.#farUs[index] as number) + (this.#aheadUs[index] as number), GATE_MAX_US);
  }

  /** What was sent in the last `MEASURE_US`. */
  #measure(nowUs: TimeUs): void {
    const elapsedUs = nowUs - this.#measuredUs;
    if (elapsedUs < MEASURE_US) return;
    this.#measureGrowth();
    this.#sentRate = this.#sentBytes / Math.min(elapsedUs, SECOND);
    this.#measures = Math.min(this.#measures + 1, MEAN_MEASURES);
    this.#meanRate += (this.#sentRate - this.#meanRate) / this.#measures;
    this.#sentBytes = 0;
    this.#measuredUs = nowUs;
  }

  #measureGrowth(): void {
    this.#growing = false;
    for (let index = 0; index < this.#links.length; index += 1) {
      const { carries, sender } = this.#links[index] as Link;
      const { cwndBytes } = sender.controller;
      const peak = this.#peaks[index] as number;
      this.#growing ||= carries && peak > 0 && cwndBytes > GROWING * peak;
      this.#peaks[index] = Math.max(cwndBytes, PEAK_DECAY * peak);
    }
  }

  /** How far every link is, and what the receiver has to expect. */
  #locate(): void {
    const nearest = this.#nearest();
    let spreadUs = 0;
    let repairUs = 0;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      const { rtt, oneWay } = link.sender;
      this.#farUs[index] = nearest === undefined ? 0 : farUs(link, nearest);
      const nearestUs = nearest === undefined ? 0 : nearest.sender.oneWay.queueUs;
      this.#aheadUs[index] = Math.max(oneWay.queueUs - nearestUs, 0);
      // What a suspect link has under way may still arrive.
      if (!link.liveness.alive) continue;
      const lateUs = oneWay.queueUs + DEVIATIONS * oneWay.deviationUs;
      spreadUs = Math.max(spreadUs, (this.#farUs[index] as number) + lateUs);
      const lossUs = Math.max((REPAIR_SRTTS - 1) * rtt.srttUs, link.liveness.missingUs);
      repairUs = Math.max(repairUs, rtt.srttUs + DEVIATIONS * rtt.varUs + lossUs);
    }
    this.holdUs = Math.min(Math.max(spreadUs, HOLD_MIN_US), HOLD_MAX_US);
    this.repairUs = Math.min(repairUs + REPAIR_SLACK_US, REPAIR_MAX_US);
  }

  #nearest(): Link | undefined {
    let nearest: Link | undefined;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (!link.liveness.alive) continue;
      if (nearest === undefined || farUs(link, nearest) < 0) nearest = link;
    }
    return nearest;
  }

  #turnGate(nowUs: TimeUs, index: number, backlogBytes: number): void {
    const farUs = this.#farUs[index] as number;
    const nearer = this.#findNearer(index, farUs);
    this.#nearer[index] = nearer;
    const thresholdUs = this.#thresholdUs(index);
    if (nearer === 0 || backlogBytes > nearer * thresholdUs) this.#openGate(nowUs, index);
    else if (this.#underused(nearer)) this.#open[index] = 0;
    if (this.#open[index] === 0) this.allowanceUs = Math.max(this.allowanceUs, thresholdUs);
  }

  /** What is sent would fit links that carry `nearer`. */
  #underused(nearer: number): boolean {
    if (this.#sentRate < CLOSE_SHARE * nearer) return true;
    return this.#measures === MEAN_MEASURES && this.#meanRate < CLOSE_MEAN_SHARE * nearer;
  }

  #openGate(nowUs: TimeUs, index: number): void {
    if (this.#open[index] === 1) return;
    this.#open[index] = 1;
    // What was sent before says nothing of what will be now.
    this.#sentRate = Number.POSITIVE_INFINITY;
    this.#meanRate = 0;
    this.#measures = 0;
    this.#sentBytes = 0;
    this.#measuredUs = nowUs;
  }

  /** What the links stand for that are clearly nearer than this; finds the widest of them. */
  #findNearer(far: number, farUs: number): number {
    let capacity = 0;
    let widest: Link | undefined;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (!link.carries || link.held) continue;
      if ((this.#farUs[index] as number) > farUs - NEAR_US) continue;
      capacity += link.sender.capacity;
      if (widest === undefined || link.maxInnerOctets > widest.maxInnerOctets) widest = link;
    }
    this.#widest[far] = widest;
    return capacity;
  }
}

/** At least half of the window is in flight. */
function isUsed({ sender }: Link): boolean {
  return 2 * sender.inFlightBytes >= sender.controller.cwndBytes;
}

/** How much longer the empty path of `link` takes than that of `other`, as far as is known. */
function farUs(link: Link, other: Link): number {
  const [a, b] = [link.sender, other.sender];
  if (a.oneWay.known && b.oneWay.known) return a.oneWay.behindUs(b.oneWay);
  if (!a.rtt.hasSample || !b.rtt.hasSample) return 0;
  return (a.propagationUs - b.propagationUs) / 2;
}
