/** What those inside feel: voice beside downloads, TCP goodput, short flows. */
import { MS, SECOND } from "../../../src/core/time.ts";
import { type Cell, runMarked, type Stage } from "../cell.ts";
import type { LinkSpec } from "../specs.ts";
import { carry, type Load } from "./bonds.ts";
import { link } from "./single.ts";

/** Added to what an idle link does: a tick of the timers twice, CoDel's target, the queue's target. */
const ADDED_MAX_MS = 2 + 5 + 5;

/** Packets of a call that fit into the longest way. */
const UNDER_WAY = 10;

/** p95 of a voice call's round trip (call and its way back) beside a download, less its median when idle. */
function voice(
  name: string,
  links: readonly LinkSpec[],
  load: "1-cubic" | "4-bbr" | "16-cubic",
): Cell {
  return {
    name: `voice-${name}-beside-${load}`,
    row: "latency under load",
    checks: [
      { metric: "addedP95Ms", atMost: ADDED_MAX_MS },
      { metric: "addedP50Ms" },
      { metric: "voiceLost", atMost: 0 },
    ],
    measure(stage) {
      const idle = call(stage, links, 0, "cubic");
      const [count, law] = load.split("-") as [string, "cubic" | "bbr"];
      const loaded = call(stage, links, Number(count), law);
      return {
        addedP95Ms: loaded.p95Ms - idle.p50Ms,
        addedP50Ms: loaded.p50Ms - idle.p50Ms,
        voiceLost: loaded.lost,
      };
    },
  };
}

function call(stage: Stage, links: readonly LinkSpec[], flows: number, law: "cubic" | "bbr") {
  const world = stage.world({ links });
  const [forth, back] = [world.stream(), world.stream({ from: "b" })];
  for (let index = 0; index < flows; index += 1) world.tcp({ law, startUs: 1_000_000 });
  world.run(6 * SECOND);
  world.mark();
  const [firstForth, firstBack] = [forth.source.sent, back.source.sent];
  world.run(26 * SECOND);
  // The last ones may be on their way.
  const lost =
    forth.sink.missing(firstForth, forth.source.sent - UNDER_WAY) +
    back.sink.missing(firstBack, back.source.sent - UNDER_WAY);
  return {
    p50Ms: forth.sink.delay.quantileMs(0.5) + back.sink.delay.quantileMs(0.5),
    p95Ms: forth.sink.delay.quantileMs(0.95) + back.sink.delay.quantileMs(0.95),
    lost,
  };
}

/** Goodput of TCP through one link, as a share of what the link can carry. */
function goodput(rate: number, rtt: number, load: Load & { kind: "tcp" }): Cell {
  return {
    name: `inner-${load.flows}-${load.law}-${rate}M-${rtt}ms`,
    row: "inner TCP",
    checks: [
      { metric: "share", atLeast: 0.9 },
      { metric: "queueP95Ms", atMost: 15 },
    ],
    measure(stage) {
      const world = stage.world({ links: [link({ rate, rtt })] });
      const result = carry(world, load, 8, 28);
      const possible = rate * ((1457 - 52) / 1495);
      return {
        share: result.goodputMbit / possible,
        queueP95Ms: world.paths[0]?.up.queueDelay.quantileMs(0.95) ?? 0,
        timeouts: result.timeouts,
      };
    },
  };
}

function shortFlows(): Cell {
  return {
    name: "short-flows-two-links",
    row: "inner TCP",
    checks: [{ metric: "completionP50Ms" }, { metric: "completionP95Ms" }],
    measure(stage) {
      const world = stage.world({
        links: [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 60 })],
      });
      const flows = world.shortFlows({ perSecond: 40 });
      runMarked(world, 3, 23);
      return {
        completionP50Ms: flows.completion.quantileUs(0.5) / MS,
        completionP95Ms: flows.completion.quantileUs(0.95) / MS,
        completed: flows.completion.count,
      };
    },
  };
}

export function innerCells(): Cell[] {
  const one = [link({ rate: 50, rtt: 40 })];
  const two = [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 40 })];
  const tcp = (law: "cubic" | "bbr", flows: number): Load & { kind: "tcp" } => ({
    kind: "tcp",
    law,
    flows,
  });
  return [
    voice("one-link", one, "1-cubic"),
    voice("one-link", one, "16-cubic"),
    voice("one-link", one, "4-bbr"),
    voice("two-links", two, "1-cubic"),
    voice("two-links", two, "16-cubic"),
    goodput(10, 50, tcp("cubic", 1)),
    goodput(50, 40, tcp("cubic", 1)),
    goodput(50, 40, tcp("cubic", 4)),
    goodput(50, 40, tcp("cubic", 32)),
    goodput(50, 40, tcp("bbr", 1)),
    goodput(50, 40, tcp("bbr", 4)),
    goodput(100, 100, tcp("cubic", 4)),
    shortFlows(),
  ];
}
