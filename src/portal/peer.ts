/**
 * One peer of a portal: its bond, and for each link what carries it (context, transmit context, socket,
 * path). Holds state and numbers; does no I/O.
 */
import { Bond, LINKS_MAX } from "../bond/bond.ts";
import { type ControllerSettings, makeController } from "../cc/controllers.ts";
import type { Arena } from "../core/arena.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import type { Ladder } from "../ladder/ladder.ts";
import { Link } from "../link/link.ts";
import { LinkSizes } from "../pmtu/pmtu.ts";
import type { Carrier } from "./carrier.ts";
import { RateMeter } from "./rates.ts";

/** What a link is called and how long its packets may be. */
export interface LinkIdentity {
  readonly name: string;
  /** Octets of a full packet on the wire. */
  readonly mssBytes: number;
  /** The longest IP packet that is any use: what the device carries, or what a full inner packet becomes. */
  readonly mtu: number;
  readonly controller: ControllerSettings;
  /** Of outer packets, 0..63. */
  readonly dscp: number;
  /** Outer packets may be marked. */
  readonly ecn: boolean;
  /** The link's silence is to be known within this when nothing flows, microseconds; default 1 s. */
  readonly keepaliveUs?: number;
}

/** Inner packets and octets. */
export interface Totals {
  packetsOut: number;
  packetsIn: number;
  bytesOut: number;
  bytesIn: number;
}

/** No traffic class of a packet. */
export const CLASS_UNKNOWN = -1;

export class Peer {
  readonly index: number;
  readonly name: string;
  readonly bond: Bond;
  established = false;
  /** Octets of a full packet's message from preamble to tag: what a transport must carry. */
  fullOctets = 0;
  /** The longest inner packet that is sent to the peer now; what is longer is answered or cut. */
  innerMtu = Number.POSITIVE_INFINITY;
  /** The MTU of the TUN device, which `innerMtu` never exceeds. */
  tunMtu = Number.POSITIVE_INFINITY;
  /** Something was put in since the last flush. */
  dirty = false;
  /** Flushed, but its deadlines have not been asked for since. */
  touched = false;
  /** When its bond wants to be driven again. */
  deadlineUs: TimeUs = NEVER;
  readonly carriers: (Carrier | undefined)[] = new Array(LINKS_MAX).fill(undefined);
  /** How each link's transport is chosen, by link number. */
  readonly ladders: (Ladder | undefined)[] = new Array(LINKS_MAX).fill(undefined);
  /** How long packets may be on each link, by link number: of the path, which a new session does not change. */
  readonly sizes: (LinkSizes | undefined)[] = new Array(LINKS_MAX).fill(undefined);
  /** What the addon was told that outer packets carry, by link number. */
  readonly trafficClasses = new Int16Array(LINKS_MAX).fill(CLASS_UNKNOWN);
  /** When links whose devices were full try again, by link number, and the first of them. */
  readonly retries = new Float64Array(LINKS_MAX).fill(NEVER);
  retryUs: TimeUs = NEVER;
  /** How long they wait, microseconds; 0: the last attempt went well. */
  readonly retryDelays = new Float64Array(LINKS_MAX);
  /** Since when they have not taken all, or when the controller was last told so. */
  readonly fullSince = new Float64Array(LINKS_MAX).fill(NEVER);
  readonly meters = Array.from({ length: LINKS_MAX }, () => new RateMeter());
  /** Largest sequence number of FEEDBACK and CONTROL heard, by link number. */
  readonly controlHeard = new Float64Array(LINKS_MAX).fill(-1);
  /** Number of the newest LINK_STATE heard, by link number. */
  readonly newsHeard = new Float64Array(LINKS_MAX).fill(-1);
  #packetsBefore = 0;
  /** Totals of links that are gone. */
  readonly past: Totals = { packetsOut: 0, packetsIn: 0, bytesOut: 0, bytesIn: 0 };
  readonly #arena: Arena;
  readonly #identify: (number: number) => LinkIdentity;
  readonly #makeLadder: (number: number, fullOctets: number) => Ladder;

  constructor(
    index: number,
    name: string,
    arena: Arena,
    identify: (number: number) => LinkIdentity,
    makeLadder: (number: number, fullOctets: number) => Ladder,
  ) {
    this.index = index;
    this.name = name;
    this.bond = new Bond(arena);
    this.#arena = arena;
    this.#identify = identify;
    this.#makeLadder = makeLadder;
  }

  /** The link of this number, made when it is first asked for. */
  link(number: number): Link {
    const known = this.bond.link(number);
    if (known !== undefined) return known;
    const { controller: settings, ...identity } = this.#identify(number);
    const controller = makeController(settings, identity.mssBytes);
    const link = new Link({ ...identity, number, arena: this.#arena, controller });
    this.bond.add(link);
    return link;
  }

  /** The choice of the link's transport, made when it is first asked for. */
  ladder(number: number): Ladder {
    const known = this.ladders[number];
    if (known !== undefined) return known;
    const ladder = this.#makeLadder(number, this.fullOctets);
    this.ladders[number] = ladder;
    return ladder;
  }

  /** How long the link's packets may be, made when it is first asked for. */
  sizesOf(number: number): LinkSizes {
    const known = this.sizes[number];
    if (known !== undefined) return known;
    const sizes = new LinkSizes(this.#identify(number).mtu);
    this.sizes[number] = sizes;
    return sizes;
  }

  /** The kernel controls what goes by TCP, and our own law what does not. */
  useController(number: number, transport: Transport): void {
    const { sender } = this.link(number);
    const { controller: settings, mssBytes } = this.#identify(number);
    const kernel = sender.controller.name === "kernel";
    if (kernel === (transport === "tcp")) return;
    sender.controller = makeController(kernel ? settings : { name: "kernel" }, mssBytes);
  }

  /** DATA messages sent and received under the present keys. */
  get packetsUnderKeys(): number {
    return this.#packets() - this.#packetsBefore;
  }

  newKeys(): void {
    this.#packetsBefore = this.#packets();
  }

  /** The peer forgot all link state. */
  reset(): void {
    for (const { counters } of this.bond.links) {
      this.past.packetsOut += counters.packetsOut;
      this.past.packetsIn += counters.packetsIn;
      this.past.bytesOut += counters.bytesOut;
      this.past.bytesIn += counters.bytesIn;
    }
    this.bond.reset();
    this.dirty = true;
    this.carriers.fill(undefined);
    this.ladders.fill(undefined);
    this.controlHeard.fill(-1);
    this.newsHeard.fill(-1);
    for (const sizes of this.sizes) sizes?.forgetHeard();
    for (const meter of this.meters) meter.reset();
  }

  /** Takes the rates of the last second. */
  sample(nowUs: TimeUs): void {
    for (const { number, counters, sender } of this.bond.links) {
      this.meters[number]?.sample(nowUs, counters, sender.packetsLost);
    }
  }

  #packets(): number {
    return this.bond.links.reduce(
      (sum, { sender, receipts }) => sum + sender.nextSeq + receipts.packets,
      0,
    );
  }

  /** Since when every attached link has been down; Infinity: one is not, or none is attached. */
  get silentSinceUs(): TimeUs {
    let sinceUs = Number.NEGATIVE_INFINITY;
    const { links } = this.bond;
    for (let index = 0; index < links.length; index += 1) {
      const { life } = links[index] as Link;
      if (life.tag === "connecting") continue;
      if (life.tag !== "down") return NEVER;
      sinceUs = Math.max(sinceUs, life.sinceUs);
    }
    return sinceUs > 0 ? sinceUs : NEVER;
  }
}

/** How often `sample` wants to be called. */
export const SAMPLE_INTERVAL_US = 1 * SECOND;
