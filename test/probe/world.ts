/** Both halves of a probe and what stands between them, in virtual time, from a seed. */

import { PATH_OCTETS } from "../../src/core/arena.ts";
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { NEVER, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport, transportNumber } from "../../src/core/transport.ts";
import { carriageOctets, type Direction } from "../../src/probe/plan.ts";
import { type Departure, Prober } from "../../src/probe/prober.ts";
import { ProbeResponder } from "../../src/probe/responder.ts";
import { controlMessage } from "../wire/control-message.ts";

export interface Packet {
  readonly transport: Transport;
  readonly direction: Direction;
  /** Of the IP packet. */
  readonly octets: number;
  readonly otherProtocol: boolean;
  trafficClass: number;
  /** From the preamble on. */
  readonly message: Uint8Array;
}

/** What becomes of a packet; an ICMP answer goes to who sent it. */
export type Fate = "pass" | "drop" | "mangled" | { readonly icmp: [type: number, code: number] };

/** `random`: 0..1. It may change the packet. */
export type Middlebox = (packet: Packet, nowUs: number, random: () => number) => Fate;

export interface WorldOptions {
  readonly seed: number;
  readonly family: 4 | 6;
  readonly middlebox: Middlebox;
  readonly translated?: boolean;
  readonly durationUs?: number;
  readonly linkMtu?: number;
  readonly long?: boolean;
  /** By which the portal's own machine lets nothing leave. */
  readonly keptThere?: Transport;
  /** Sockets that are open; TCP that does not connect is none. */
  readonly open?: readonly Transport[];
  /** By which the session came to be; null: none came. */
  readonly attached?: Transport | null;
}

export const ROUTER = { 4: "192.0.2.254", 6: "2001:db8::fe" } as const;
const CLIENT = { 4: "10.0.0.2", 6: "2001:db8::2" } as const;
const DELAY_US = 20_000;
const JITTER_US = 2_000;
const HOPS = 58;

interface Event {
  readonly atUs: number;
  readonly order: number;
  readonly run: () => void;
}

export class World {
  nowUs = 5_000_000;
  readonly prober: Prober;
  readonly responder: ProbeResponder;
  /** Octets of IP packets, by direction and second. */
  readonly octets = new Map<string, number>();
  readonly #options: WorldOptions;
  readonly #random: SeededRandom;
  readonly #events: Event[] = [];
  #order = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const random = this.#random.octets;
    this.responder = new ProbeResponder({ random });
    this.prober = new Prober({
      ...{ family: options.family, rate: 2e6, linkMtu: options.linkMtu ?? 1500, random },
      ...{ durationUs: options.durationUs ?? 8 * SECOND, long: options.long ?? false },
      otherProtocol: true,
    });
    const { attached = "udp", open = TRANSPORTS } = options;
    if (attached === null) return;
    this.prober.attached(attached);
    for (const transport of open) {
      const local = { address: CLIENT[options.family], port: transport === "raw" ? 0 : 40_000 };
      this.prober.opened(this.nowUs, transport, local);
    }
  }

  /** Until the probe is done. @throws when it takes longer than `seconds` */
  run(seconds = 120): void {
    const endUs = this.nowUs + seconds * SECOND;
    for (;;) {
      this.#drain();
      if (this.prober.done) return;
      const next = this.#events.reduce(
        (least, event, at) => (before(event, this.#events[least] as Event) ? at : least),
        0,
      );
      const event = this.#events[next];
      const wakeUs = Math.min(this.prober.deadlineUs(), this.responder.deadlineUs());
      const atUs = Math.max(this.nowUs, Math.min(event?.atUs ?? NEVER, wakeUs));
      if (atUs > endUs) throw new Error(`the probe does not end, seed ${this.#options.seed}`);
      this.nowUs = atUs;
      if (event === undefined || event.atUs > atUs) continue;
      this.#events.splice(next, 1);
      event.run();
    }
  }

  #drain(): void {
    for (;;) {
      const departure = this.prober.poll(this.nowUs);
      if (departure === null) break;
      this.#up(departure);
    }
    for (;;) {
      const answer = this.responder.poll(this.nowUs);
      if (answer === null) break;
      const transport = TRANSPORTS[answer.path[PATH_AT.transport] as number] as Transport;
      if (transport === this.#options.keptThere) this.responder.unsent(answer);
      else this.#send("down", transport, answer.body, answer.trafficClass, false);
    }
  }

  #up({ transport, body, trafficClass, otherProtocol }: Departure): void {
    this.#send("up", transport, body, trafficClass, otherProtocol);
  }

  #send(
    direction: Direction,
    transport: Transport,
    body: Uint8Array,
    trafficClass: number,
    otherProtocol: boolean,
  ): void {
    const message = controlMessage(body);
    const octets = body.length + carriageOctets(transport, this.#options.family);
    const packet = { transport, direction, octets, otherProtocol, trafficClass, message };
    const key = `${direction} ${Math.floor(this.nowUs / SECOND)}`;
    this.octets.set(key, (this.octets.get(key) ?? 0) + octets);
    const fate = this.#options.middlebox(packet, this.nowUs, () => this.#random.next());
    if (fate === "drop") return;
    const delayUs = DELAY_US + Math.floor(JITTER_US * this.#random.next());
    this.#at(this.nowUs + delayUs, () => this.#arrive(packet, fate));
  }

  #arrive(packet: Packet, fate: Exclude<Fate, "drop">): void {
    const { direction, transport, message, trafficClass } = packet;
    if (typeof fate === "object") {
      const [type, code] = fate.icmp;
      const from = ROUTER[this.#options.family];
      if (packet.otherProtocol) this.prober.otherProtocolRefused();
      else if (direction === "up") this.prober.icmp(transport, { type, code, from }, 1);
    } else if (direction === "up") {
      if (fate === "mangled") this.responder.mangled(message);
      else {
        const path = this.#path(transport);
        this.responder.handle(this.nowUs, message, path, transport, trafficClass, HOPS);
      }
    } else if (fate === "mangled") this.prober.mangled(message);
    else this.prober.receive(this.nowUs, transport, message, trafficClass, HOPS);
  }

  #path(transport: Transport): Path {
    const { family, translated = false } = this.#options;
    const path = new Uint8Array(PATH_OCTETS);
    path[PATH_AT.family] = family;
    path[PATH_AT.transport] = transportNumber(transport);
    if (transport !== "raw") path.set([0x9c, 0x40], PATH_AT.port);
    const v4 = translated ? [198, 51, 100, 7] : [10, 0, 0, 2];
    const v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, translated ? 9 : 2];
    path.set(family === 4 ? v4 : v6, PATH_AT.remote);
    return path;
  }

  #at(atUs: number, run: () => void): void {
    this.#events.push({ atUs, order: this.#order, run });
    this.#order += 1;
  }
}

function before(a: Event, b: Event): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
}
