/** Slots and timers of a bond whose links and peer do whatever they like: reports that lie, links that come and go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Bond } from "../../src/bond/bond.ts";
import { Dtc } from "../../src/cc/dtc/dtc.ts";
import { Arena } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import { newFeedback } from "../../src/wire/feedback.ts";
import { slotOf } from "./inner-packets.ts";

const SLOTS = 2048;
const STEPS = 3000;

class Scene {
  readonly arena = new Arena(SLOTS);
  readonly bond = new Bond(this.arena);
  readonly random: SeededRandom;
  nowUs = 0;
  readonly #seed: number;
  readonly #links: number;
  readonly #feedback = newFeedback();

  constructor(seed: number) {
    this.#seed = seed;
    this.random = new SeededRandom(seed);
    this.#links = 2 + this.below(3);
    this.connect();
  }

  below(end: number): number {
    return this.random.uint32() % end;
  }

  connect(): void {
    for (let number = 0; number < this.#links; number += 1) {
      const controller = new Dtc(1400, { compete: true });
      const name = `l${number}`;
      const link = new Link({ number, name, arena: this.arena, controller, mssBytes: 1400 });
      this.bond.add(link);
      link.attach(this.nowUs);
    }
  }

  step(): void {
    const link = this.bond.links[this.below(this.#links)] as Link;
    const { nowUs } = this;
    const dice = this.below(100);
    if (dice < 20) this.#enqueue();
    else if (dice < 45) this.#report(link);
    else if (dice < 88) this.nowUs += this.below(12) * MS;
    else if (dice < 89) this.nowUs += this.below(900) * MS;
    else if (dice < 91) link.blocked = !link.blocked;
    else if (dice < 92) link.unusable(nowUs);
    else if (dice < 94) link.restored(nowUs);
    else if (dice < 95) link.recarried(nowUs, this.below(2) === 0);
    else if (dice < 96 && this.below(2) === 0) link.detach(nowUs);
    else if (dice < 97) link.attach(nowUs);
    else if (dice < 98 && this.below(2) === 0) link.held = !link.held;
    else if (dice < 99 && this.below(3) === 0)
      link.maxInnerOctets = [Number.POSITIVE_INFINITY, 1200, 300][this.below(3)] ?? 0;
    else if (dice < 99) this.bond.egress.duplicate = !this.bond.egress.duplicate;
    else if (this.below(10) === 0) {
      this.bond.reset();
      this.connect();
    }
    this.#wake();
  }

  #enqueue(): void {
    for (let count = 1 + this.below(40); count > 0 && this.arena.freeCount > 256; count -= 1) {
      const urgent = this.below(6) === 0;
      const kind = urgent ? { protocol: 17, trafficClass: 46 << 2 } : {};
      const bytes = urgent ? 200 : 100 + this.below(1300);
      const sourcePort = 1000 + this.below(4);
      this.bond.enqueue(this.nowUs, slotOf(this.arena, { ...kind, sourcePort, bytes }));
    }
  }

  /** Of what was sent, as a peer might report it, or as one would that lies. */
  #report(link: Link): void {
    const feedback = this.#feedback;
    const lies = this.below(10) === 0;
    const next = link.sender.nextSeq;
    feedback.largest = lies ? this.random.uint32() : Math.max(next - 1 - this.below(4), 0);
    feedback.rangeCount = 1 + this.below(3);
    let distance = 0;
    for (let index = 0; index < feedback.rangeCount; index += 1) {
      feedback.rangeFrom[index] = distance;
      distance += this.below(lies ? 1e6 : 12);
      feedback.rangeTo[index] = distance;
      distance += 2 + this.below(3);
    }
    feedback.ackDelayUs = this.below(lies ? 500_000 : 5_000);
    feedback.receivedUs = lies ? this.random.uint32() : (this.nowUs + 4e9) % 2 ** 32;
    feedback.bytes = lies ? this.random.uint32() : (next * 900) % 2 ** 32;
    feedback.firstUs = this.below(lies ? 500_000 : 5_000);
    link.acknowledge(this.nowUs, feedback, this.below(2) === 0);
  }

  /** One wake-up, and those that follow at once: a few, or it would be for ever. */
  #wake(): void {
    for (let round = 0; round < 8; round += 1) {
      this.bond.tick(this.nowUs);
      this.#flush();
      if (this.bond.deadlineUs(this.nowUs) > this.nowUs) return;
    }
    assert.fail(
      `seed ${this.#seed}, due at once again and again: ${this.bond.links.map(({ life }) => life.tag)}`,
    );
  }

  #flush(): void {
    for (;;) {
      const more = this.bond.pull(this.nowUs);
      const waiting = new Set<number>();
      let count = 0;
      for (const link of this.bond.links) {
        for (let at = 0; at < link.outboxCount; at += 1) waiting.add(link.outbox[at] as number);
        count += link.outboxCount;
        if (link.blocked) continue;
        // Now and then a full socket takes only some.
        const taken = this.below(10) === 0 ? this.below(link.outboxCount + 1) : link.outboxCount;
        link.blocked = taken < link.outboxCount;
        for (let at = 0; at < taken; at += 1) this.arena.give(link.outbox[at] as number);
        link.drained(taken);
      }
      assert.equal(waiting.size, count, `seed ${this.#seed}, a slot waits in two places`);
      if (!more) return;
    }
  }

  /** Everything is over: each slot is free, once. */
  end(): void {
    this.bond.reset();
    this.bond.egress.queue.clear();
    assert.equal(this.arena.freeCount, SLOTS, `seed ${this.#seed}`);
    const free = new Set(Array.from({ length: SLOTS }, () => this.arena.take()));
    assert.equal(free.size, SLOTS, `seed ${this.#seed}`);
    assert.ok(!free.has(-1), `seed ${this.#seed}`);
  }
}

test("no slot is lost or given twice and no timer spins, whatever links and peer do", () => {
  let lent = 0;
  let spared = 0;
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const scene = new Scene(seed);
    for (let step = 0; step < STEPS; step += 1) scene.step();
    const { repair } = scene.bond.egress;
    lent += repair.lent;
    spared += repair.spared;
    scene.end();
  }
  assert.ok(lent > 100 && spared > 20, `${lent} lent, ${spared} spared`);
});
