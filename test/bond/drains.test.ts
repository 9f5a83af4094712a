/** Links of a bond that ask to empty their queues do so one after the other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CongestionController, Drain } from "../../src/cc/controller.ts";
import { NewReno } from "../../src/cc/newreno.ts";
import { MS } from "../../src/core/time.ts";
import { World } from "../sim/world.ts";

const SEED = 3;
const LINKS = 3;
const DRAIN_MS = 40;
const REST_MS = 300;

/** NewReno that asks for a drain of 40 ms all the time, but for a while after each. */
class Thirsty {
  readonly controller: CongestionController;
  drains = 0;
  #begunUs = Number.NaN;
  #drain: Drain = "due";

  constructor(mssBytes: number) {
    this.controller = Object.defineProperties(new NewReno(mssBytes), {
      drain: { get: () => this.#drain },
      beginDrain: { value: (nowUs: number) => this.#begin(nowUs) },
    });
  }

  tick(nowUs: number): void {
    const pastUs = nowUs - this.#begunUs;
    if (this.#drain === "running" && pastUs >= DRAIN_MS * MS) this.#drain = "none";
    if (this.#drain === "none" && pastUs >= REST_MS * MS) this.#drain = "due";
  }

  #begin(nowUs: number): void {
    assert.equal(this.#drain, "due", "nobody begins who has not asked");
    this.#drain = "running";
    this.#begunUs = nowUs;
    this.drains += 1;
  }
}

test("of links that ask for a drain at the same time one has it, and the next when that one has ended", () => {
  const made = new Map<CongestionController, Thirsty>();
  const world = new World({
    seed: SEED,
    links: Array.from({ length: LINKS }, () => ({ up: { rateMbit: 20, delayMs: 15 } })),
    controller: (mssBytes) => {
      const thirsty = new Thirsty(mssBytes);
      made.set(thirsty.controller, thirsty);
      return thirsty.controller;
    },
  });
  world.flood();
  const links = () => world.a.bond.links.map(({ sender }) => sender.controller);
  for (let atMs = 1; atMs < 2_000; atMs += 1) {
    world.run(atMs * MS);
    const running = links().filter(({ drain }) => drain === "running").length;
    assert.ok(running <= 1, `${running} at ${atMs} ms, seed ${SEED}`);
    for (const one of made.values()) one.tick(world.nowUs);
  }
  const drains = links().map((controller) => made.get(controller)?.drains ?? 0);
  assert.ok(Math.min(...drains) >= 4, `${drains} drains, seed ${SEED}`);
});
