/**
 * Drives the search for the path MTU of every link (`pmtu`): says which transports may be probed and when something is
 * amiss, sends the probes, hands on the answers, answers the peer's, and fits the peer to what was found: the size that
 * its ladders ask for, what each link may be given, and how long inner packets may be.
 */
import { NEVER, type TimeUs } from "../core/time.ts";
import { transportNumber } from "../core/transport.ts";
import type { TransportSwitch } from "../ladder/ladder.ts";
import type { Link } from "../link/link.ts";
import { DATAGRAM_TRANSPORTS, type LinkSizes } from "../pmtu/pmtu.ts";
import { outerOctets } from "../wire/overhead.ts";
import { decodePmtuAnswer, decodePmtuProbe, encodePmtuAnswer, PMTU_SUBTYPE } from "../wire/pmtu.ts";
import { TYPE } from "../wire/preamble.ts";
import type { Carrier, Route } from "./carrier.ts";
import type { DataPath } from "./datapath.ts";
import { roomFor, tightest } from "./mtu.ts";
import type { Binding, DataPathOwner } from "./owner.ts";
import type { Peer } from "./peer.ts";

/** So many long packets lost in a row, none arriving between them, are worth a question about their size. */
const LONG_LOST_MIN = 3;
/** So many are no congestion, which lets some through between them. */
const LONG_LOST_SURE = 8;
/** Before the first sample (RFC 9002 section 6.2.2). */
const INITIAL_RTT_US = 333_000;

/** What a link's sizes were last told. */
interface Told {
  /** Along which they may be probed now, and the last ones; by transport number. */
  readonly routes: (Route | undefined)[];
  readonly lastRoutes: (Route | undefined)[];
  longLost: number;
  /** The ladder knows that a transport carries more than the one in use. */
  lesser: boolean;
}

export class PathSizes {
  /** Messages that could not be read, or came by another transport than they say. */
  malformed = 0;
  /** Told when `peer.innerMtu` changes. */
  onChange: (peer: Peer) => void = () => {};
  readonly #data: DataPath;
  readonly #owner: DataPathOwner;
  readonly #told = new WeakMap<LinkSizes, Told>();
  readonly #batch = new Int32Array(1);

  constructor(data: DataPath, owner: DataPathOwner) {
    this.#data = data;
    this.#owner = owner;
    data.controls.on(PMTU_SUBTYPE.probe, (nowUs, binding, slot, socket) => {
      const route = this.#owner.routeOf(nowUs, socket, slot);
      if (route !== undefined) this.#receiveProbe(binding, slot, route);
    });
    data.controls.on(PMTU_SUBTYPE.answer, (_, binding, slot) => this.#receiveAnswer(binding, slot));
  }

  /** Does what is due; before what the peer's bond has stamped is sent. */
  drive(nowUs: TimeUs, peer: Peer): void {
    for (let index = 0; index < peer.bond.links.length; index += 1) {
      const link = peer.bond.links[index] as Link;
      const carrier = peer.carriers[link.number];
      if (carrier === undefined) continue;
      const sizes = peer.sizesOf(link.number);
      const told = this.#toldOf(sizes);
      this.#admit(nowUs, peer, link, carrier, sizes, told);
      this.#observe(nowUs, link, carrier, sizes, told);
      this.#sendProbes(nowUs, link, carrier, sizes);
      this.#fitLink(nowUs, peer, link, carrier, sizes, told);
    }
    this.#fitPeer(peer);
  }

  deadlineUs(nowUs: TimeUs, peer: Peer): TimeUs {
    let deadlineUs = NEVER;
    for (let index = 0; index < peer.bond.links.length; index += 1) {
      const { number } = peer.bond.links[index] as Link;
      if (peer.carriers[number] === undefined) continue;
      deadlineUs = Math.min(deadlineUs, peer.sizes[number]?.deadlineUs(nowUs) ?? NEVER);
    }
    return deadlineUs;
  }

  /** DATA of a link goes by another transport. */
  switched(nowUs: TimeUs, peer: Peer, link: Link, { to, cause }: TransportSwitch): void {
    const sizes = peer.sizes[link.number];
    const ladder = peer.ladders[link.number];
    if (sizes === undefined || ladder === undefined) return;
    if (cause === "large packets lost") sizes.doubt(nowUs, null, false);
    if (to === "tcp") return;
    if (cause === "trial passed") sizes.proven(to, ladder.fullOctets);
    sizes.used(nowUs, to);
  }

  /** Which transports may be probed: those that may carry DATA, along the path that they have now. */
  #admit(
    nowUs: TimeUs,
    peer: Peer,
    link: Link,
    carrier: Carrier,
    sizes: LinkSizes,
    { routes, lastRoutes }: Told,
  ): void {
    const ladder = peer.ladders[link.number];
    for (let index = 0; index < DATAGRAM_TRANSPORTS.length; index += 1) {
      const transport = DATAGRAM_TRANSPORTS[index] as (typeof DATAGRAM_TRANSPORTS)[number];
      const may = link.life.tag !== "down" && ladder?.mayCarry(nowUs, transport) === true;
      const route = may ? carrier.routeOf(transport) : undefined;
      if (route === routes[index]) continue;
      routes[index] = route;
      if (route === undefined) {
        sizes.stop(transport);
        continue;
      }
      const another = lastRoutes[index] !== route;
      lastRoutes[index] = route;
      sizes.open(nowUs, transport, outerOctets(transport, route.family), another);
    }
  }

  #observe(
    nowUs: TimeUs,
    { sender }: Link,
    { transport }: Carrier,
    sizes: LinkSizes,
    told: Told,
  ): void {
    // The kernel cuts what goes by TCP.
    if (transport === "tcp") return;
    const { longLost } = sender;
    if (longLost < LONG_LOST_MIN) told.longLost = 0;
    else if (
      longLost > told.longLost &&
      sizes.doubt(nowUs, transport, longLost >= LONG_LOST_SURE)
    ) {
      told.longLost = longLost;
    }
  }

  #sendProbes(nowUs: TimeUs, link: Link, carrier: Carrier, sizes: LinkSizes): void {
    const rttUs = link.rtt.hasSample ? link.rtt.srttUs : INITIAL_RTT_US;
    const { arena, engine } = this.#data;
    for (let sent = sizes.poll(nowUs, rttUs); sent !== null; sent = sizes.poll(nowUs, rttUs)) {
      const slot = arena.take();
      if (slot < 0) return;
      arena.write(slot, sent.body);
      if (link.stampControl(slot, TYPE.control)) {
        this.#batch[0] = slot;
        engine.send(carrier.transmitOf(sent.transport), this.#batch, 1);
      }
      arena.give(slot);
    }
  }

  #receiveProbe({ peer, link: number }: Binding, slot: number, route: Route): void {
    const probe = decodePmtuProbe(this.#data.arena.read(slot));
    if (probe === "truncated" || probe.transport !== transportNumber(route.transport)) {
      this.malformed += 1;
      return;
    }
    const octets = peer.sizesOf(number).heard(probe);
    if (octets === 0) return;
    const { transport, search } = probe;
    this.#answer(peer, number, encodePmtuAnswer({ transport, search, link: number, octets }));
  }

  /** By the probed link, or by another when nothing may be sent there. */
  #answer(peer: Peer, number: number, body: Uint8Array): void {
    const { arena } = this.#data;
    const link = peer.bond.speaker(peer.link(number));
    const slot = arena.take();
    if (slot < 0) return;
    arena.write(slot, body);
    if (link.held || !link.sendControl(slot, TYPE.control)) arena.give(slot);
    peer.dirty = true;
  }

  #receiveAnswer({ peer }: Binding, slot: number): void {
    const answer = decodePmtuAnswer(this.#data.arena.read(slot));
    if (answer === "truncated") this.malformed += 1;
    else if (peer.sizes[answer.link]?.answered(answer) === true) peer.dirty = true;
  }

  /** The ladder asks for no more than the best transport carries, the scheduler gives the link no more than it takes. */
  #fitLink(
    nowUs: TimeUs,
    peer: Peer,
    link: Link,
    carrier: Carrier,
    sizes: LinkSizes,
    told: Told,
  ): void {
    const ladder = peer.ladders[link.number];
    const family = carrier.route?.family;
    if (ladder === undefined || family === undefined) return;
    const worst = ladder.allows("udp") ? "udp" : "raw";
    const message = sizes.largest - outerOctets(worst, family);
    ladder.resize(nowUs, Math.min(message, peer.fullOctets));
    const room = roomFor(message, carrier.tagOctets);
    const { transport } = carrier;
    const free = transport === "tcp" || room >= peer.tunMtu;
    link.maxInnerOctets = free ? Number.POSITIVE_INFINITY : room;
    const lesser = transport !== "tcp" && !sizes.carries(transport, ladder.fullOctets);
    // Another transport carries what this one loses: the ladder is to look, once.
    if (lesser && !told.lesser) ladder.silent(nowUs);
    told.lesser = lesser;
  }

  #fitPeer(peer: Peer): void {
    const mtu = tightest(peer.innerMtu, peer.tunMtu, peer.bond.links);
    if (mtu === peer.innerMtu) return;
    peer.innerMtu = mtu;
    peer.bond.egress.queue.mtu = mtu;
    this.onChange(peer);
  }

  #toldOf(sizes: LinkSizes): Told {
    const known = this.#told.get(sizes);
    if (known !== undefined) return known;
    const told = { routes: [], lastRoutes: [], longLost: 0, lesser: false };
    this.#told.set(sizes, told);
    return told;
  }
}
