/** Makes a world of a schedule, and its faults happen there. */

import { SeededRandom } from "../../../src/core/random.ts";
import { MS } from "../../../src/core/time.ts";
import type { PipeSpec } from "../pipe.ts";
import type { Portal } from "../portal.ts";
import type { LinkSpec } from "../specs.ts";
import { World } from "../world.ts";
import { Addresses } from "./addresses.ts";
import { type Fault, type FaultOf, isOn, type Side } from "./fault.ts";
import { Dice, type LinkShape, type Schedule } from "./schedule.ts";
import { Sessions } from "./sessions.ts";
import { TamperedWay, type WayFault } from "./tampered-way.ts";

/** The portals' clocks have nothing to do with each other: up to two months since the machines started. */
const CLOCK_MAX_MS = 60 * 86_400_000;

export class Play {
  readonly world: World;
  readonly addresses: Addresses;
  readonly sessions: Sessions;
  /** By link: what stands at the end of each way. */
  readonly ways: { readonly up: TamperedWay; readonly down: TamperedWay }[];

  constructor(schedule: Schedule) {
    const { seed, links, faults } = schedule;
    const ends: { up?: TamperedWay; down?: TamperedWay }[] = links.map(() => ({}));
    const dice = new Dice(new SeededRandom(seed ^ 0x0c10_c355));
    this.world = new World({
      seed,
      links: links.map((shape, link) => linkSpec(shape, link, faults)),
      clocksUs: [clockUs(dice), clockUs(dice)],
      tamper: (receiver, { arena, events, random, path, way }) => {
        const end = new TamperedWay(arena, events, random, receiver);
        (ends[path] as (typeof ends)[number])[way] = end;
        return end;
      },
    });
    this.ways = ends as { up: TamperedWay; down: TamperedWay }[];
    const { tunnel, arena, events } = this.world;
    this.addresses = new Addresses(tunnel, arena, events, this.world.random());
    this.sessions = new Sessions(tunnel, arena, events, this.addresses);
    for (const portal of [tunnel.a, tunnel.b]) portal.refuseReplays();
    for (const fault of faults) this.#schedule(fault);
  }

  #schedule(fault: Fault): void {
    switch (fault.kind) {
      case "cut":
      case "loss":
      case "mtu":
      case "copies":
      case "late":
        this.#onWays(fault, fault, fault.fromMs, fault.toMs);
        break;
      case "flap":
        this.#flap(fault);
        break;
      case "handover": {
        const { link, fromMs, toMs } = fault;
        this.#onWays(fault, { kind: "cut", link, way: "both", fromMs, toMs }, fromMs, toMs);
        break;
      }
      case "rate":
        break;
      case "rebind":
        this.world.at(fault.fromMs * MS, () => this.addresses.change(fault.link));
        break;
      case "roam":
        this.#roam(fault);
        break;
      case "rekey":
        this.world.at(fault.fromMs * MS, (nowUs) => this.sessions.rekey(nowUs));
        break;
      case "carrier":
        this.#carrier(fault);
        break;
      default:
        this.#atPortal(fault);
    }
  }

  /** The paths of `at` do what `what` says for a while. */
  #onWays(at: { readonly link: number }, what: WayFault, fromMs: number, toMs: number): void {
    const ends = this.ways[at.link];
    for (const name of ["up", "down"] as const) {
      const end = ends?.[name];
      if (end === undefined || !isOn(what.way, name)) continue;
      this.world.at(fromMs * MS, () => end.begin(what));
      this.world.at(toMs * MS, () => end.end(what));
    }
  }

  #flap({ link, way, fromMs, toMs, periodMs }: FaultOf<"flap">): void {
    for (let atMs = fromMs; atMs < toMs; atMs += periodMs) {
      const untilMs = Math.min(atMs + periodMs / 2, toMs);
      const cut = { kind: "cut", link, way, fromMs: atMs, toMs: untilMs } as const;
      this.#onWays(cut, cut, atMs, untilMs);
    }
  }

  #carrier({ link, portal, toldMs, fromMs, toMs }: FaultOf<"carrier">): void {
    const cut = { kind: "cut", link, way: "both", fromMs, toMs } as const;
    this.#onWays(cut, cut, fromMs, toMs);
    const own = this.portal(portal);
    const peer = this.portal(portal === "a" ? "b" : "a");
    const learns = (who: Portal, atMs: number, what: "unusable" | "restored") => {
      const news = () => who.bond.link(link)?.[what](who.clock(this.world.nowUs));
      this.world.at(atMs * MS, () => who.tell(news));
    };
    learns(own, fromMs, "unusable");
    learns(peer, fromMs + toldMs, "unusable");
    learns(own, toMs, "restored");
    learns(peer, toMs + toldMs, "restored");
  }

  /** The peer finds out by silence, and by the packets that come then. */
  #roam({ link, fromMs, toMs }: FaultOf<"roam">): void {
    const { world, addresses } = this;
    const cut = { kind: "cut", link, way: "both", fromMs, toMs } as const;
    this.#onWays(cut, cut, fromMs, toMs);
    const learns = (what: "unusable" | "restored") => {
      world.a.tell(() => world.a.bond.link(link)?.[what](world.a.clock(world.nowUs)));
    };
    world.at(fromMs * MS, () => learns("unusable"));
    world.at(toMs * MS, () => {
      addresses.change(link);
      learns("restored");
    });
  }

  #atPortal(fault: FaultOf<"clog" | "restart" | "suspend" | "clock">): void {
    const { world, sessions } = this;
    const portal = this.portal(fault.portal);
    const [fromUs, toUs] = [fault.fromMs * MS, fault.toMs * MS];
    switch (fault.kind) {
      case "clog":
        world.at(fromUs, () => portal.clog(fault.link, true));
        world.at(toUs, () => portal.clog(fault.link, false));
        break;
      case "restart":
        world.at(fromUs, () => sessions.kill(portal, fault.remembers));
        world.at(toUs, (nowUs) => sessions.start(nowUs, portal));
        break;
      case "suspend":
        world.at(fromUs, () => portal.suspend(fault.buffered));
        world.at(toUs, (nowUs) => portal.resume(nowUs));
        break;
      case "clock":
        world.at(fromUs, () => {
          portal.clockAheadUs += fault.byMs * MS;
          portal.kick();
        });
    }
  }

  portal(side: Side): Portal {
    return side === "a" ? this.world.a : this.world.b;
  }
}

function clockUs(dice: Dice): number {
  return dice.whole(0, CLOCK_MAX_MS) * MS + dice.whole(0, MS - 1);
}

function linkSpec(shape: LinkShape, link: number, faults: readonly Fault[]): LinkSpec {
  const mine = faults.filter((fault) => "link" in fault && fault.link === link);
  return { up: pipeSpec(shape, "up", mine), down: pipeSpec(shape, "down", mine) };
}

function pipeSpec(shape: LinkShape, way: "up" | "down", faults: readonly Fault[]): PipeSpec {
  const { delayMs, jitterMs, queueMs } = shape;
  const rateMbit = way === "up" ? shape.upMbit : shape.downMbit;
  const slow = faults.filter((fault) => fault.kind === "rate" && isOn(fault.way, way));
  const handovers = faults.filter((fault) => fault.kind === "handover");
  return {
    rateMbit: rateSteps(rateMbit, slow as FaultOf<"rate">[]),
    delayMs: [[0, delayMs], ...handovers.map((fault) => [fault.toMs, fault.delayMs] as const)].sort(
      ([one = 0], [other = 0]) => one - other,
    ) as [number, number][],
    jitterMs,
    queueBytes: Math.max(((rateMbit * 1000) / 8) * queueMs, 8 * 1500),
  };
}

/** The rate over time, all factors that hold at one time multiplied. */
function rateSteps(rateMbit: number, faults: readonly FaultOf<"rate">[]): [number, number][] {
  const momentsMs = [0, ...faults.flatMap(({ fromMs, toMs }) => [fromMs, toMs])];
  const sorted = [...new Set(momentsMs)].sort((one, other) => one - other);
  return sorted.map((atMs) => {
    const holding = faults.filter(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs);
    return [atMs, holding.reduce((rate, { factor }) => rate * factor, rateMbit)];
  });
}
