/**
 * Drives the choice of transport of every link: tells the ladders what links notice, sends the HELLOs
 * they ask for, hands them those that come, and carries out their switches.
 */
import { type Path, samePath } from "../core/path.ts";
import { MS, NEVER, type TimeUs } from "../core/time.ts";
import { type Transport, transportNumber } from "../core/transport.ts";
import type { Ladder, TransportSwitch } from "../ladder/ladder.ts";
import type { Link } from "../link/link.ts";
import { COUNTER } from "../native/native.ts";
import { decodeHello } from "../wire/hello.ts";
import { TYPE } from "../wire/preamble.ts";
import type { Carrier, Route } from "./carrier.ts";
import type { Contexts } from "./contexts.ts";
import type { DataPath } from "./datapath.ts";
import type { Binding } from "./owner.ts";
import type { Peer } from "./peer.ts";

/** DATA unanswered for so long is worth a question by every transport. */
const SILENT_MIN_US = 200 * MS;
const SILENT_SRTTS = 3;
/** Losses are told in heaps of so many packets sent, or after so long. */
const LOSS_PACKETS = 100;

/** So many long packets lost in a row are no congestion, which lets some through between them. */
const LONG_LOST_MIN = 8;

/** What was last told of one link. */
interface Told {
  silent: boolean;
  /** None of the long packets gets through, whatever becomes of the short ones. */
  longSilent: boolean;
  lost: number;
  sent: number;
}

/** A genuine message came from another address than where those of its transport go. */
type SourceDiffers = (nowUs: TimeUs, binding: Binding, slot: number, path: Path) => void;

export class Ladders {
  /** HELLOs that could not be read. */
  malformed = 0;
  switches = 0;
  readonly #data: DataPath;
  readonly #contexts: Contexts;
  readonly #onSwitch: (peer: Peer, link: Link, change: TransportSwitch) => void;
  readonly #onSourceDiffers: SourceDiffers;
  readonly #told = new WeakMap<Ladder, Told>();
  readonly #batch = new Int32Array(1);

  constructor(
    data: DataPath,
    contexts: Contexts,
    onSwitch: (peer: Peer, link: Link, change: TransportSwitch) => void,
    onSourceDiffers: SourceDiffers = () => {},
  ) {
    this.#data = data;
    this.#contexts = contexts;
    this.#onSwitch = onSwitch;
    this.#onSourceDiffers = onSourceDiffers;
  }

  /** Does what is due; before what the peer's bond has stamped is sent. */
  drive(nowUs: TimeUs, peer: Peer): void {
    for (let index = 0; index < peer.bond.links.length; index += 1) {
      const link = peer.bond.links[index] as Link;
      const ladder = peer.ladders[link.number];
      if (ladder === undefined) continue;
      this.#observe(nowUs, link, ladder);
      this.#sendHellos(nowUs, peer, link, ladder);
      this.#switch(nowUs, peer, link, ladder);
      link.held = ladder.current === null;
      link.shared = ladder.sharesConnection;
    }
  }

  deadlineUs(peer: Peer): TimeUs {
    let deadlineUs = NEVER;
    for (let index = 0; index < peer.bond.links.length; index += 1) {
      const link = peer.bond.links[index] as Link;
      const ladder = peer.ladders[link.number];
      if (ladder === undefined) continue;
      deadlineUs = Math.min(deadlineUs, ladder.deadlineUs(), this.#silentUs(link, ladder));
    }
    return deadlineUs;
  }

  /** A HELLO has come by `route`. */
  receive(nowUs: TimeUs, binding: Binding, slot: number, route: Route): void {
    const { peer } = binding;
    const hello = decodeHello(this.#data.arena.read(slot));
    // Played by another transport than its own: somebody passes it on, and the route must not follow.
    if (hello === "truncated" || hello.transport !== transportNumber(route.transport)) {
      this.malformed += 1;
      return;
    }
    const carrier = peer.carriers[binding.link];
    if (carrier === undefined) return;
    const ladder = peer.ladder(binding.link);
    const here = this.#follow(nowUs, binding, slot, carrier, route);
    ladder.receive(nowUs, route.transport, hello, here);
    peer.link(binding.link).held = ladder.current === null;
    peer.dirty = true;
  }

  /**
   * The way that a HELLO came is new: where nothing is proven it is taken, but a way that is goes on until the
   * client no longer answers there, whoever plays his HELLOs elsewhere. False: it is not taken (yet).
   */
  #follow(nowUs: TimeUs, binding: Binding, slot: number, carrier: Carrier, route: Route): boolean {
    if (carrier.has(route)) return true;
    const { peer, link } = binding;
    const settled = carrier.routeOf(route.transport)?.path ?? null;
    const elsewhere = route.path !== null && settled !== null && !samePath(settled, route.path);
    if (elsewhere && peer.ladder(link).proven(route.transport)) {
      this.#onSourceDiffers(nowUs, binding, slot, route.path);
      return false;
    }
    // What is stamped already was meant for the address that is proven.
    if (route.transport === carrier.transport)
      this.#data.outgoing.send(nowUs, peer, peer.link(link));
    this.#contexts.route(nowUs, peer, link, route);
    return true;
  }

  #observe(nowUs: TimeUs, link: Link, ladder: Ladder): void {
    const told = this.#toldOf(ladder, link);
    if (this.#silentUs(link, ladder) <= nowUs) {
      told.silent = true;
      ladder.silent(nowUs);
    } else if (told.silent && link.up && nowUs - link.unansweredSinceUs < silentLimitUs(link)) {
      told.silent = false;
      ladder.heard(nowUs);
    }
    const { packetsLost, nextSeq, longLost } = link.sender;
    if (longLost === 0) told.longSilent = false;
    else if (longLost >= LONG_LOST_MIN && !told.longSilent) {
      told.longSilent = true;
      ladder.silent(nowUs);
    }
    const lost = packetsLost - told.lost;
    const sent = nextSeq - told.sent;
    if (sent < LOSS_PACKETS && lost === 0) return;
    told.lost = packetsLost;
    told.sent = nextSeq;
    ladder.loss(nowUs, lost, Math.max(sent - lost, 0));
  }

  /** When the link's silence is to be told; Infinity: it is answered, or told already. */
  #silentUs(link: Link, ladder: Ladder): TimeUs {
    if (this.#toldOf(ladder, link).silent) return NEVER;
    if (link.life.tag === "down") return link.life.sinceUs;
    return link.unansweredSinceUs + silentLimitUs(link);
  }

  #toldOf(ladder: Ladder, { sender }: Link): Told {
    const known = this.#told.get(ladder);
    if (known !== undefined) return known;
    const told = {
      silent: false,
      longSilent: false,
      lost: sender.packetsLost,
      sent: sender.nextSeq,
    };
    this.#told.set(ladder, told);
    return told;
  }

  #sendHellos(nowUs: TimeUs, peer: Peer, link: Link, ladder: Ladder): void {
    ladder.badTags = this.#data.arena.counters[COUNTER.badTag] as number;
    for (let hello = ladder.poll(nowUs); hello !== null; hello = ladder.poll(nowUs)) {
      this.#send(peer, link, hello.transport, hello.body);
    }
  }

  #send(peer: Peer, link: Link, transport: Transport, body: Uint8Array): void {
    const { arena, engine } = this.#data;
    const carrier = peer.carriers[link.number];
    if (carrier?.routeOf(transport) === undefined) return;
    const slot = arena.take();
    if (slot < 0) return;
    arena.write(slot, body);
    if (link.stampControl(slot, TYPE.control)) {
      this.#batch[0] = slot;
      engine.send(carrier.transmitOf(transport), this.#batch, 1);
    }
    arena.give(slot);
  }

  #switch(nowUs: TimeUs, peer: Peer, link: Link, ladder: Ladder): void {
    for (let change = ladder.takeSwitch(); change !== null; change = ladder.takeSwitch()) {
      const carrier = peer.carriers[link.number];
      if (carrier === undefined || carrier.transport === change.to) continue;
      this.switches += 1;
      this.#contexts.use(nowUs, peer, link.number, change.to, isLossy(change));
      this.#data.sizes.switched(nowUs, peer, link, change);
      this.#onSwitch(peer, link, change);
    }
  }
}

/** What the old way carried last is lost, and its window was its own. */
function isLossy({ cause }: TransportSwitch): boolean {
  return cause !== "attached" && cause !== "trial passed";
}

function silentLimitUs({ rtt }: Link): number {
  return rtt.hasSample ? Math.max(SILENT_SRTTS * rtt.srttUs, SILENT_MIN_US) : SILENT_MIN_US;
}
