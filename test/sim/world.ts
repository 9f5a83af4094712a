/**
 * An emulated world in virtual time: paths, one tunnel or several over them, traffic through and
 * beside the tunnels. Bonds, links and controllers are the real ones; the same seed gives the same run.
 *
 *     const world = new World({ seed: 1, links: [{ up: { rateMbit: 20, delayMs: 10 } }] });
 *     const flow = world.flood();
 *     world.run(5 * SECOND);
 *     world.mark();
 *     world.run(15 * SECOND);
 *     flow.sink.goodputMbit();
 */
import type { CongestionController } from "../../src/cc/controller.ts";
import { DEFAULT_CONTROLLER, makeController } from "../../src/cc/controllers.ts";
import { Arena } from "../../src/core/arena.ts";
import { assert } from "../../src/core/assert.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, type TimeUs } from "../../src/core/time.ts";
import { besideOutlet, LateEndpoint } from "./beside.ts";
import type { Outlet } from "./ends.ts";
import { EventQueue, Script } from "./events.ts";
import { LinkRecord } from "./link-record.ts";
import { ADDRESS_A, ADDRESS_B, type Flow } from "./packets.ts";
import { Pipe } from "./pipe.ts";
import type { Portal } from "./portal.ts";
import { ShortFlows, type ShortFlowsSpec } from "./short-flows.ts";
import {
  type FlowSpec,
  INNER_MTU,
  MSS_BYTES,
  slotsFor,
  type TcpSpec,
  type TunnelSpec,
  type WorldSpec,
} from "./specs.ts";
import { TcpFlow } from "./tcp.ts";
import { TcpBbr } from "./tcp-bbr.ts";
import { TcpCubic } from "./tcp-cubic.ts";
import { payloadOf, TcpReceiver } from "./tcp-receiver.ts";
import { TcpSender } from "./tcp-sender.ts";
import { Tunnel } from "./tunnel.ts";
import { Flood, Stream, UdpSink } from "./udp.ts";

/** Largest receive window by default: what Linux lets a connection grow to (`tcp_rmem`). */
const WINDOW_BYTES = 6 * 1024 * 1024;

const FIRST_PORT = 10_000;
const PORTS_END = 65_000;

export interface Path {
  readonly up: Pipe;
  readonly down: Pipe;
}

export interface UdpFlow<T> {
  readonly source: T;
  readonly sink: UdpSink;
}

/** Idle links are asked no oftener than this. */
const HUSH_STEP_US = 100 * MS;

export class World {
  readonly arena: Arena;
  readonly events = new EventQueue();
  readonly paths: readonly Path[];
  /** The first tunnel, over all paths. */
  readonly tunnel: Tunnel;
  readonly tunnels: Tunnel[] = [];
  /** What A's links of the first tunnel did, if `record` was called. */
  records: readonly LinkRecord[] = [];
  readonly #spec: WorldSpec;
  readonly #script: Script;
  readonly #sinks: { mark(nowUs: TimeUs): void }[] = [];
  #randoms = 0;
  #ports = FIRST_PORT;

  constructor(spec: WorldSpec) {
    this.#spec = spec;
    this.arena = new Arena(spec.slots ?? slotsFor(spec.links));
    this.#script = new Script(this.events);
    this.paths = spec.links.map(({ up, down }) => ({
      up: new Pipe(this.arena, this.events, up, this.random()),
      down: new Pipe(this.arena, this.events, down ?? up, this.random()),
    }));
    this.tunnel = this.addTunnel({});
  }

  get nowUs(): TimeUs {
    return this.events.nowUs;
  }

  get a(): Portal {
    return this.tunnel.a;
  }

  get b(): Portal {
    return this.tunnel.b;
  }

  /** Equal for equal runs: mixed from every arrival and every delivery and its moment. */
  get hash(): string {
    let hash = 0;
    for (const { up, down } of this.paths) {
      hash = Math.imul(hash ^ up.hash, 0x85eb_ca6b) ^ Math.imul(down.hash, 0xc2b2_ae35);
    }
    for (const { a, b } of this.tunnels) {
      hash = Math.imul(hash ^ a.hash, 0x85eb_ca6b) ^ Math.imul(b.hash, 0xc2b2_ae35);
    }
    return (hash >>> 0).toString(16).padStart(8, "0");
  }

  /** A generator of its own for each part, so that one more draw here changes nothing there. */
  random(): SeededRandom {
    this.#randoms += 1;
    return new SeededRandom(Math.imul(this.#spec.seed + 1, 0x9e37_79b1) ^ (this.#randoms * 0x51ed));
  }

  run(untilUs: TimeUs): void {
    this.events.run(untilUs);
  }

  /** Runs on while no idle link is asked: what is under way comes home, and nothing new leaves. */
  hush(untilUs: TimeUs): void {
    while (this.nowUs < untilUs) {
      for (const portal of this.tunnels.flatMap(({ a, b }) => [a, b])) {
        for (const { liveness } of portal.bond.links) liveness.postponed(portal.clock(this.nowUs));
      }
      this.run(Math.min(this.nowUs + HUSH_STEP_US, untilUs));
    }
  }

  at(atUs: TimeUs, run: (nowUs: TimeUs) => void): void {
    this.#script.at(atUs, run);
  }

  /** Everything recorded before now is left out of what is recorded from now on. */
  mark(): void {
    for (const { up, down } of this.paths) {
      up.mark(this.nowUs);
      down.mark(this.nowUs);
    }
    for (const sink of this.#sinks) sink.mark(this.nowUs);
  }

  /** Something else that `mark` tells. */
  onMark(sink: { mark(nowUs: TimeUs): void }): void {
    this.#sinks.push(sink);
  }

  /** A (further) tunnel over the same paths. */
  addTunnel(spec: TunnelSpec): Tunnel {
    const tunnel = new Tunnel({
      arena: this.arena,
      events: this.events,
      random: () => this.random(),
      paths: (spec.paths ?? [...this.paths.keys()]).map((index) => this.paths[index] as Path),
      controller: spec.controller ?? this.#spec.controller ?? defaultController,
      mssBytes: MSS_BYTES,
      outerEcn: spec.outerEcn ?? this.#spec.outerEcn ?? true,
      timerNoiseUs: this.#spec.timerNoiseUs ?? 1 * MS,
      extraDelayMs: spec.extraDelayMs ?? 0,
      tamper: this.#spec.tamper,
      clocksUs: this.#spec.clocksUs,
    });
    this.tunnels.push(tunnel);
    return tunnel;
  }

  /** From now on windows and flights of the first tunnel's links at A are recorded. */
  record(): void {
    const records = this.a.bond.links.map((link) => new LinkRecord(link));
    this.records = records;
    this.a.onSettled = (nowUs) => {
      for (let index = 0; index < records.length; index += 1) records[index]?.take(nowUs);
    };
  }

  /** Cuts a path both ways, or one. */
  cut(path: number, ...directions: readonly ("up" | "down")[]): void {
    for (const direction of directions.length === 0 ? (["up", "down"] as const) : directions) {
      this.paths[path]?.[direction].cut();
    }
  }

  restore(path: number): void {
    this.paths[path]?.up.restore();
    this.paths[path]?.down.restore();
  }

  /** Keeps `backlog` packets of `bytes` inner octets waiting. */
  flood(spec: FlowSpec & { bytes?: number; backlog?: number } = {}): UdpFlow<Flood> {
    const { portal, flow, sink } = this.#udp(spec);
    const { bytes = INNER_MTU, backlog = 256 } = spec;
    const source = new Flood(this.arena, portal, flow, bytes, backlog);
    this.at(spec.startUs ?? this.nowUs, () => source.start());
    return { source, sink };
  }

  /** A packet of `bytes` inner octets each `everyUs`; the default is a voice call: 200 octets each 20 ms. */
  stream(spec: FlowSpec & { bytes?: number; everyUs?: number } = {}): UdpFlow<Stream> {
    const { portal, flow, sink } = this.#udp(spec);
    const { bytes = 200, everyUs = 20 * MS } = spec;
    const source = new Stream(this.arena, this.events, portal, flow, bytes, everyUs);
    source.start(spec.startUs ?? this.nowUs);
    return { source, sink };
  }

  /** A TCP connection; starts at `startUs`, now by default. */
  tcp(spec: TcpSpec = {}): TcpFlow {
    const { from = "a", law = "cubic", beside, onDone, windowBytes = WINDOW_BYTES } = spec;
    const mss = payloadOf(beside === undefined ? INNER_MTU : MSS_BYTES);
    const windowMax = Math.floor(windowBytes / mss);
    const segments = Math.ceil((spec.bytes ?? Number.POSITIVE_INFINITY) / mss);
    const forth = this.flow(from, spec.trafficClass ?? 0);
    const back = { ...forth, ...reversed(forth) };
    const [sending, receiving] = [new LateEndpoint(), new LateEndpoint()];
    const out = this.#outlet(spec, from, forth.destinationPort, receiving);
    const home = this.#outlet(spec, from === "a" ? "b" : "a", back.destinationPort, sending);
    const sender = new TcpSender(this.arena, this.events, out, forth, {
      mss,
      segments,
      windowMax,
      ecn: spec.ecn ?? false,
      law: law === "bbr" ? new TcpBbr() : new TcpCubic(),
    });
    const receiver = new TcpReceiver(this.arena, this.events, home, back, { mss, windowBytes });
    sending.target = sender;
    receiving.target = receiver;
    if (onDone !== undefined) {
      receiver.onProgress = (nowUs, next) => next >= segments && onDone(nowUs);
    }
    const flow = new TcpFlow(sender, receiver);
    if (segments === Number.POSITIVE_INFINITY) this.onMark(flow);
    this.at(spec.startUs ?? this.nowUs, (nowUs) => sender.start(nowUs));
    return flow;
  }

  /** Short TCP flows that come at random. */
  shortFlows(spec: FlowSpec & ShortFlowsSpec): ShortFlows {
    const flows = new ShortFlows(this.events, this.random(), spec, (bytes, onDone) => {
      this.tcp({ ...spec, startUs: this.nowUs, bytes, onDone });
    });
    this.onMark(flows);
    flows.start(spec.startUs ?? this.nowUs);
    return flows;
  }

  /** Where the side `from` puts packets for the endpoint at the other side. */
  #outlet(spec: TcpSpec, from: "a" | "b", port: number, endpoint: LateEndpoint): Outlet {
    const { tunnel = this.tunnel, beside } = spec;
    if (beside !== undefined) {
      const path = this.paths[beside] as Path;
      const host = { events: this.events, random: this.random() };
      return besideOutlet(this.arena, from === "a" ? path.up : path.down, endpoint, host);
    }
    (from === "a" ? tunnel.b : tunnel.a).bind(port, endpoint);
    return from === "a" ? tunnel.a : tunnel.b;
  }

  /** Ports and addresses of a new flow. */
  flow(from: "a" | "b", trafficClass: number): Flow {
    this.#ports += 2;
    assert(this.#ports < PORTS_END, "a world has ports for some 25 000 flows");
    const forth = from === "a";
    return {
      source: forth ? ADDRESS_A : ADDRESS_B,
      destination: forth ? ADDRESS_B : ADDRESS_A,
      sourcePort: this.#ports,
      destinationPort: this.#ports + 1,
      trafficClass,
    };
  }

  #udp(spec: FlowSpec): { portal: Portal; flow: Flow; sink: UdpSink } {
    const { from = "a", tunnel = this.tunnel } = spec;
    const flow = this.flow(from, spec.trafficClass ?? 0);
    const sink = new UdpSink(this.arena, this.events);
    this.onMark(sink);
    (from === "a" ? tunnel.b : tunnel.a).bind(flow.destinationPort, sink);
    return { portal: from === "a" ? tunnel.a : tunnel.b, flow, sink };
  }
}

function defaultController(mssBytes: number): CongestionController {
  return makeController(DEFAULT_CONTROLLER, mssBytes);
}

function reversed(flow: Flow): Partial<Flow> {
  return {
    source: flow.destination,
    destination: flow.source,
    sourcePort: flow.destinationPort,
    destinationPort: flow.sourcePort,
  };
}
