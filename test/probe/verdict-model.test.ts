/** Every middlebox of the lab, as a model: what the probe says of it, each way and in both families. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SECOND } from "../../src/core/time.ts";
import type { Transport } from "../../src/core/transport.ts";
import type { Word } from "../../src/probe/judgement.ts";
import type { Direction } from "../../src/probe/plan.ts";
import { PACKETS_KEPT_MAX } from "../../src/probe/responder.ts";
import { verdictOf } from "../../src/probe/verdict.ts";
import { fillingAt } from "../../src/wire/measure.ts";
import { type Fate, type Middlebox, type Packet, World, type WorldOptions } from "./world.ts";

const SEEDS = process.env["PROBE_SEEDS"] === undefined ? 2 : Number(process.env["PROBE_SEEDS"]);

/** Applies to raw packets of these directions only. */
function raw(directions: readonly Direction[], fate: (packet: Packet) => Fate): Middlebox {
  return (packet) =>
    packet.transport === "raw" && !packet.otherProtocol && directions.includes(packet.direction)
      ? fate(packet)
      : "pass";
}

/** Octets a second that pass, and a bucket as large as that of nftables: a second's worth and a burst. */
function policer(direction: Direction, octetsPerSecond: number): Middlebox {
  const bucket = octetsPerSecond + 15_000;
  let octets = bucket;
  let atUs = 0;
  return (packet, nowUs) => {
    if (packet.transport !== "raw" || packet.direction !== direction) return "pass";
    octets = Math.min(bucket, octets + ((nowUs - atUs) / 1e6) * octetsPerSecond);
    atUs = nowUs;
    if (octets < packet.octets) return "drop";
    octets -= packet.octets;
    return "pass";
  };
}

/** Drops by share, of some transports. */
function lossy(share: number, transports: readonly Transport[]): Middlebox {
  return ({ transport }, _nowUs, random) =>
    transports.includes(transport) && random() < share ? "drop" : "pass";
}

const MANGLED_AT = 13;
const mangle = (packet: Packet): Fate => {
  const at = MANGLED_AT;
  if (packet.message.length <= at) return "pass";
  packet.message[at] = (packet.message[at] as number) ^ 0x55;
  return "mangled";
};

const both = ["up", "down"] as const;
const datagram = (transport: Transport) => transport !== "tcp";

interface Case {
  readonly name: string;
  readonly world: (family: 4 | 6) => Omit<WorldOptions, "seed" | "family">;
  /** Raw up and down, UDP up and down; undefined: not judged here. */
  readonly raw: readonly [Word, Word];
  readonly udp?: readonly [Word, Word];
  readonly exitCode: number;
  readonly says: RegExp;
  readonly config?: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: "nothing stands between",
    world: () => ({ middlebox: () => "pass" }),
    raw: ["ok", "ok"],
    udp: ["ok", "ok"],
    exitCode: 0,
    says: /^Raw IP \(protocol 253\) works both ways\.$/,
    config: ['transport = "auto"'],
  },
  {
    name: "raw never passes",
    world: () => ({ middlebox: raw(both, () => "drop") }),
    raw: ["blocked", "blocked"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /UDP works both ways; raw IP .* dies on the way without a word both ways/,
    config: ['transport = "udp"'],
  },
  {
    name: "raw passes up only",
    world: () => ({ middlebox: raw(["down"], () => "drop") }),
    raw: ["ok", "blocked"],
    exitCode: 5,
    says: /works to the portal, UDP from it; raw IP .* without a word from the portal/,
    config: ['transport = "auto"'],
  },
  {
    name: "raw passes down only",
    world: () => ({ middlebox: raw(["up"], () => "drop") }),
    raw: ["blocked", "ok"],
    exitCode: 5,
    says: /^UDP works both ways; .* to the portal, and the portal sends by it only to whom it hears by it\.$/,
    config: ['transport = "udp"'],
  },
  {
    name: "the portal's own machine lets no raw packet leave",
    world: () => ({ middlebox: () => "pass", keptThere: "raw" }),
    raw: ["ok", "blocked"],
    exitCode: 5,
    says: /raw IP \(protocol 253\) does not leave the portal's machine\.$/,
  },
  {
    name: "raw is refused by a router",
    world: (family) => ({
      middlebox: raw(["up"], () => ({ icmp: family === 4 ? [3, 2] : [1, 1] })),
    }),
    raw: ["blocked", "ok"],
    exitCode: 5,
    says: /is refused by (192\.0\.2\.254 \(ICMP 3\/2\)|2001:db8::fe \(ICMP 1\/1\)) to the portal/,
  },
  {
    name: "raw is policed to 1 Mbit/s up",
    world: () => ({ middlebox: policer("up", 125_000) }),
    raw: ["policed", "ok"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /is policed \(\d+ % lost at the highest rate/,
  },
  {
    name: "raw is policed to 1 Mbit/s down",
    world: () => ({ middlebox: policer("down", 125_000) }),
    raw: ["ok", "policed"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /is policed/,
  },
  {
    name: "raw is mangled up",
    world: () => ({ middlebox: raw(["up"], mangle) }),
    raw: ["mangled", "ok"],
    exitCode: 5,
    says: /changed octets \(13\) to the portal/,
  },
  {
    name: "raw is mangled down",
    world: () => ({ middlebox: raw(["down"], mangle) }),
    raw: ["ok", "mangled"],
    exitCode: 5,
    says: /changed octets \(13\) from the portal/,
  },
  {
    name: "large raw packets die",
    world: () => ({ middlebox: raw(both, ({ octets }) => (octets > 1000 ? "drop" : "pass")) }),
    raw: ["size-limited", "size-limited"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /carries 576 octets at most both ways/,
    config: ['transport = "udp"'],
  },
  {
    name: "the path carries 1400 octets by every transport",
    world: () => ({
      middlebox: ({ octets, transport }) =>
        octets > 1400 && datagram(transport) ? "drop" : "pass",
    }),
    raw: ["size-limited", "size-limited"],
    udp: ["size-limited", "size-limited"],
    exitCode: 0,
    says: /carries 1400 octets at most/,
    config: ['transport = "auto"', "mtu = 1400"],
  },
  {
    name: "raw loses 10 %",
    world: () => ({ middlebox: lossy(0.1, ["raw"]) }),
    raw: ["lossy", "lossy"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /loses \d+ %/,
  },
  {
    name: "raw and UDP lose 5 % alike",
    world: () => ({ middlebox: lossy(0.05, ["raw", "udp"]) }),
    raw: ["lossy", "lossy"],
    udp: ["lossy", "lossy"],
    exitCode: 0,
    says: /works both ways; it loses \d+ %/,
  },
  {
    name: "raw is policed up and UDP is blocked",
    world: () => {
      const police = policer("up", 125_000);
      const middlebox: Middlebox = (packet, nowUs, random) =>
        packet.transport === "udp" ? "drop" : police(packet, nowUs, random);
      return { middlebox, attached: "raw" };
    },
    raw: ["policed", "ok"],
    udp: ["blocked", "blocked"],
    exitCode: 0,
    says: /^Raw IP \(protocol 253\) works both ways; it is policed/,
  },
  {
    name: "UDP is blocked",
    world: () => ({
      middlebox: ({ transport }) => (transport === "udp" ? "drop" : "pass"),
      attached: "raw",
    }),
    raw: ["ok", "ok"],
    udp: ["blocked", "blocked"],
    exitCode: 0,
    says: /^Raw IP \(protocol 253\) works both ways\.$/,
  },
  {
    name: "all but TCP is blocked",
    world: () => ({
      middlebox: ({ transport }) => (datagram(transport) ? "drop" : "pass"),
      attached: "tcp",
    }),
    raw: ["blocked", "blocked"],
    udp: ["blocked", "blocked"],
    exitCode: 6,
    says: /^TCP works both ways/,
    config: ['transport = "tcp"'],
  },
  {
    name: "another host behind the translation has the protocol number",
    world: () => ({ middlebox: raw(["up"], () => "drop"), translated: true }),
    raw: ["nat-conflict", "unreachable"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /already carries it for another host/,
  },
  {
    name: "the portal wants no raw packets of any number, behind a translation",
    world: (family) => ({
      translated: true,
      middlebox: ({ transport, direction }) =>
        transport === "raw" && direction === "up"
          ? { icmp: family === 4 ? [3, 2] : [4, 1] }
          : "pass",
    }),
    raw: ["blocked", "unreachable"],
    exitCode: 5,
    says: /is refused by/,
  },
  {
    name: "nobody answers",
    world: () => ({ middlebox: () => "drop", attached: null }),
    raw: ["unreachable", "unreachable"],
    exitCode: 7,
    says: /No answer/,
    config: [],
  },
];

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

test("the middleboxes of this file change what they say they change", () => {
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
