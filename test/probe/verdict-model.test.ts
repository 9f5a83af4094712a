/** Every middlebox of the lab, as a model: what the probe says of it, each way and in both families. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SECOND } from "../../src/core/time.ts";
import type { Transport } from "../../src/core/transport.ts";
import { PACKETS_KEPT_MAX } from "../../src/probe/responder.ts";
import { verdictOf } from "../../src/probe/verdict.ts";
import { fillingAt } from "../../src/wire/measure.ts";
import { MANGLED_AT, mangle } from "./middleboxes.ts";
import { CASES } from "./verdict-cases.ts";
import { type Middlebox, type Packet, World } from "./world.ts";

const SEEDS = process.env["PROBE_SEEDS"] === undefined ? 2 : Number(process.env["PROBE_SEEDS"]);

for (const { name, world, raw: wanted, udp, exitCode, says, config } of CASES) {
  for (const family of [4, 6] as const) {
    test(`${name}, IPv${family}`, () => {
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const one = new World({ seed, family, ...world(family) });
        if (wanted[0] !== "unreachable") one.run();
        const verdict = verdictOf(one.prober.measurement(), 253);
        const words = (transport: Transport) => {
          const found = verdict.transports.find((each) => each.transport === transport);
          return [found?.up.word ?? "unreachable", found?.down.word ?? "unreachable"];
        };
        const context = `seed ${seed}: ${verdict.sentence}`;
        assert.deepEqual(words("raw"), wanted, context);
        if (udp !== undefined) assert.deepEqual(words("udp"), udp, context);
        assert.equal(verdict.exitCode, exitCode, context);
        assert.match(verdict.sentence, says, context);
        if (config !== undefined) assert.deepEqual(verdict.config, config, context);
      }
    });
  }
}

test("a middlebox that mangles changes what it says it changes", () => {
  const message = new Uint8Array(100).map((_, at) => fillingAt(at));
  const packet: Packet = {
    ...{ transport: "raw", direction: "up", octets: 120, otherProtocol: false, trafficClass: 0 },
    message,
  };
  assert.equal(mangle(packet), "mangled");
  assert.notEqual(message[MANGLED_AT], fillingAt(MANGLED_AT));
});

test("neither direction of a link carries more than 2 Mbit/s in any second", () => {
  const one = new World({ seed: 5, family: 4, middlebox: () => "pass", durationUs: 20 * SECOND });
  one.run();
  for (const [second, octets] of one.octets) {
    assert.ok(octets * 8 <= 2.1e6, `${second}: ${octets * 8} bits`);
  }
  const bits = [...one.octets.values()].map((octets) => octets * 8);
  assert.ok(Math.max(...bits) > 1.5e6, "the rate that is allowed is used");
});

test("a run of the longest duration stays within what the other side keeps", () => {
  const durationUs = 120 * SECOND;
  const one = new World({ seed: 7, family: 4, middlebox: () => "pass", durationUs });
  one.run(300);
  const measured = one.prober.measurement();
  const trains = measured.transports.flatMap(({ directions }) => directions.up.trains);
  assert.ok(trains.every((train) => train.known && train.received === train.sent));
  const packets = trains.reduce((sum, train) => sum + train.sent, 0);
  assert.ok(packets > 40_000 && packets <= PACKETS_KEPT_MAX, `${packets}`);
});

test("the long form says how long mappings live, and never lets the portal speak first by raw IP", () => {
  // A mapping of UDP that lives for 100 s; TCP and raw IP are not translated.
  let lastUs = 0;
  const middlebox: Middlebox = ({ transport, direction }, nowUs) => {
    if (transport !== "udp") return "pass";
    const alive = nowUs - lastUs < 100 * SECOND;
    if (direction === "up" || alive) lastUs = nowUs;
    return direction === "up" || alive ? "pass" : "drop";
  };
  const one = new World({ seed: 6, family: 4, middlebox, long: true });
  one.run(1200);
  const measured = one.prober.measurement();
  const idle = (transport: Transport, name: string) => {
    const found = measured.transports.find((each) => each.transport === transport);
    const trains = found?.directions.down.trains.filter((train) => train.name === name) ?? [];
    return trains.map(({ idleSeconds, received }) => [idleSeconds, received > 0]);
  };
  const after = (alive: boolean) => [30, 60, 120, 300, 600].map((s) => [s, alive || s < 100]);
  assert.deepEqual(idle("udp", "portalFirst"), after(false));
  assert.deepEqual(idle("udp", "afterIdle"), after(true));
  assert.deepEqual(idle("raw", "portalFirst"), []);
  assert.deepEqual(idle("raw", "afterIdle"), after(true));
});
