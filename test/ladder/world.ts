/**
 * Two ladders, joined by three transports with one channel a direction, in virtual time. DATA and its acknowledgement are
 * simulated as far as a ladder can tell: `heard`, `loss` and `silent` come as a link would call them.
 */
import assert from "node:assert/strict";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport, transportNumber } from "../../src/core/transport.ts";
import { decodeHello } from "../../src/wire/hello.ts";
import { TAG_OCTETS } from "../../src/wire/message.ts";
import { PREAMBLE_OCTETS } from "../../src/wire/preamble.ts";
import { controlMessage } from "../wire/control-message.ts";
import { type Channel, Middlebox, RawNat } from "./channel.ts";
import { FULL_OCTETS, type Packet, Portal, SIDES, type Side } from "./portal.ts";

const RTT_US = 50 * MS;
const STEP_US = 5 * MS;
const PROBE_US = 100 * MS;
/** Full packets in flight at most: 10 Mbit/s at 50 ms. */
const WINDOW = 45;
const TCP_TIMEOUT_US = 10 * SECOND;

export class World {
  nowUs = 0;
  readonly seed: number;
  readonly local: Portal;
  readonly remote: Portal;
  readonly nat: RawNat | null;
  /** How long DATA goes unanswered before the link calls it silence. */
  silenceUs = 200 * MS;
  /** Acknowledgements come by another link. */
  answeredElsewhere = false;
  /** Octets by raw from Remote to Local that a NAT has seen, refused ones too. */
  rawDownUs = Number.NEGATIVE_INFINITY;
  readonly #random: SeededRandom;
  readonly #boxes: Record<Side, Middlebox[]>;
  readonly #events: { atUs: number; run: () => void }[] = [];
  #tcp: "closed" | "connecting" | "open" = "closed";
  #tcpHeardUs = 0;
  #attachUs = 0;
  #attached = false;

  constructor(seed: number, { nat = true, allowed = TRANSPORTS as readonly Transport[] } = {}) {
    this.seed = seed;
    const random = new SeededRandom(seed);
    this.#random = random;
    const boxes = () => TRANSPORTS.map(() => new Middlebox(random));
    this.#boxes = { local: boxes(), remote: boxes() };
    this.local = new Portal("local", allowed, random);
    this.remote = new Portal("remote", allowed, random);
    this.nat = nat ? new RawNat() : null;
    for (const transport of ["raw", "udp"] as const) this.local.ladder.open(0, transport);
  }

  portal(side: Side): Portal {
    return this[side];
  }

  /** What `from` sends by `transport` takes this way. */
  way(from: Side, transport: Transport): Channel {
    return this.#box(from, transport).channel;
  }

  /** Both ways. */
  both(transport: Transport, change: Partial<Channel>): void {
    for (const side of SIDES) Object.assign(this.way(side, transport), change);
  }

  /** DATA flows both ways from now on. */
  busy(packetsPerSecond = 400): void {
    for (const side of SIDES) {
      this.portal(side).packetsPerSecond = packetsPerSecond;
      this.portal(side).dueUs = this.nowUs;
      this.portal(side).lastDeliveredUs = this.nowUs;
    }
  }

  idle(): void {
    for (const side of SIDES) {
      this.portal(side).packetsPerSecond = 0;
      this.portal(side).flight = [];
      this.portal(side).silent = false;
    }
  }

  run(forUs: number): void {
    const untilUs = this.nowUs + forUs;
    for (;;) {
      const atUs = Math.min(this.#nextUs(), untilUs);
      assert.ok(atUs >= this.nowUs, this.say("time runs back"));
      this.nowUs = atUs;
      this.#work();
      if (this.nowUs >= untilUs) return;
    }
  }

  say(what: string): string {
    return `${what} (seed ${this.seed}, ${this.nowUs / SECOND} s)`;
  }

  #box(from: Side, transport: Transport): Middlebox {
    return this.#boxes[from][transportNumber(transport)] as Middlebox;
  }

  #nextUs(): number {
    let nextUs = this.#attached ? Number.POSITIVE_INFINITY : this.#attachUs;
    if (this.#tcp === "open") nextUs = Math.min(nextUs, this.nowUs + SECOND);
    for (const side of SIDES) {
      const portal = this.portal(side);
      nextUs = Math.min(nextUs, portal.ladder.deadlineUs());
      if (portal.packetsPerSecond > 0) nextUs = Math.min(nextUs, this.nowUs + STEP_US);
    }
    for (const { atUs } of this.#events) nextUs = Math.min(nextUs, atUs);
    return Math.max(nextUs, this.nowUs);
  }

  #work(): void {
    const due = this.#events.filter(({ atUs }) => atUs <= this.nowUs);
    due.sort((a, b) => a.atUs - b.atUs);
    for (const event of due) this.#events.splice(this.#events.indexOf(event), 1);
    for (const { run } of due) run();
    if (!this.#attached && this.nowUs >= this.#attachUs) this.#attach();
    for (const side of SIDES) {
      const portal = this.portal(side);
      if (portal.packetsPerSecond > 0) this.#flow(portal);
      this.#poll(portal);
      this.#check(portal);
    }
    this.#connectTcp();
  }

  #later(delayUs: number, run: () => void): void {
    this.#events.push({ atUs: this.nowUs + delayUs, run });
  }

  /** The race to attach, tried again every quarter of a second. */
  #attach(): void {
    this.#attachUs = this.nowUs + SECOND / 4;
    for (const transport of TRANSPORTS) {
      const up = this.#passes("local", transport, 64);
      const open = this.local.ladder.usable[transportNumber(transport)];
      if (!open || up !== "passes" || this.#passes("remote", transport, 64) !== "passes") continue;
      this.#attached = true;
      this.remote.ladder.open(this.nowUs, transport);
      if (transport === "raw") this.remote.rawHeardUs = this.nowUs;
      this.remote.ladder.attached(this.nowUs, transport);
      this.local.ladder.attached(this.nowUs, transport);
      return;
    }
  }

  #passes(from: Side, transport: Transport, octets: number): "passes" | "lost" | "mangled" {
    if (transport === "tcp" && this.#tcp !== "open") return "lost";
    const fate = this.#box(from, transport).fate(this.nowUs, octets);
    if (transport !== "raw" || this.nat === null) return fate;
    // The NAT is next to the client: what it sends is seen there first, what comes back last.
    if (from === "remote") this.rawDownUs = this.nowUs;
    if (from === "remote" && fate === "lost") return fate;
    return this.nat.passes(this.nowUs, from) ? fate : "lost";
  }

  #poll(portal: Portal): void {
    const { ladder } = portal;
    if (ladder.deadlineUs() <= this.nowUs) {
      portal.polls += 1;
      for (let left = 200; ; left -= 1) {
        const hello = ladder.poll(this.nowUs);
        if (hello === null) break;
        assert.ok(left > 0, this.say("poll never ends"));
        this.#carry(portal, hello.transport, hello.body);
      }
      assert.ok(ladder.deadlineUs() > this.nowUs, this.say("the deadline is past after poll"));
    }
    let taken = ladder.takeSwitch();
    while (taken !== null) {
      portal.switches.push({ ...taken, atUs: this.nowUs });
      taken = ladder.takeSwitch();
    }
  }

  #carry(from: Portal, transport: Transport, body: Uint8Array): void {
    const octets = PREAMBLE_OCTETS + body.length + TAG_OCTETS;
    from.hellos[transportNumber(transport)] = (from.hellos[transportNumber(transport)] ?? 0) + 1;
    from.helloOctets += octets;
    assert.ok(
      from.ladder.usable[transportNumber(transport)],
      this.say("HELLO by a closed transport"),
    );
    const to = this.portal(from.side === "local" ? "remote" : "local");
    const fate = this.#passes(from.side, transport, octets);
    if (fate === "lost") return;
    const message = controlMessage(body);
    this.#later(this.way(from.side, transport).delayUs, () => {
      if (fate === "mangled") to.ladder.badTags += 1;
      else this.#hear(to, transport, message);
    });
  }

  #hear(to: Portal, transport: Transport, message: Uint8Array): void {
    const hello = decodeHello(message);
    assert.ok(hello !== "truncated");
    if (to.side === "remote") {
      if (transport === "raw") to.rawHeardUs = this.nowUs;
      if (!to.ladder.usable[hello.transport]) to.ladder.open(this.nowUs, transport);
    }
    if (transport === "tcp") this.#tcpHeardUs = this.nowUs;
    to.ladder.receive(this.nowUs, transport, hello);
  }

  #connectTcp(): void {
    const wanted = this.local.ladder.wantsTcp;
    const carries = SIDES.some((side) => this.portal(side).ladder.current === "tcp");
    if (this.#tcp === "closed" && wanted) {
      this.#tcp = "connecting";
      this.#later(RTT_US, () => this.#connected());
    }
    const dead = this.nowUs - this.#tcpHeardUs > TCP_TIMEOUT_US && this.#tcpBlocked();
    if (this.#tcp !== "open" || (!dead && (wanted || carries))) return;
    this.#tcp = "closed";
    for (const side of SIDES) this.portal(side).ladder.close(this.nowUs, "tcp");
  }

  #tcpBlocked(): boolean {
    return SIDES.some((side) => this.way(side, "tcp").blocked);
  }

  #connected(): void {
    this.#tcp = this.#tcpBlocked() ? "closed" : "open";
    if (this.#tcp === "closed") return;
    this.#tcpHeardUs = this.nowUs;
    for (const side of SIDES) this.portal(side).ladder.open(this.nowUs, "tcp");
  }

  /** Sends what rate and window allow; a link that is silent sends small probes only. */
  #flow(portal: Portal): void {
    const { ladder } = portal;
    if (ladder.current === null) return;
    this.#watchSilence(portal);
    portal.gapUs = Math.max(portal.gapUs, this.nowUs - portal.lastDeliveredUs);
    if (portal.silent) {
      if (this.nowUs < portal.probeUs) return;
      portal.probeUs = this.nowUs + PROBE_US;
      this.#transmit(portal, ladder.current, 40);
      return;
    }
    while (portal.dueUs <= this.nowUs && portal.flight.length < WINDOW) {
      portal.dueUs += SECOND / portal.packetsPerSecond;
      portal.count += 1;
      const small = portal.smallEvery > 0 && portal.count % portal.smallEvery === 0;
      this.#transmit(portal, ladder.current, small ? 80 : FULL_OCTETS);
    }
    portal.dueUs = Math.max(portal.dueUs, this.nowUs - STEP_US);
  }

  #watchSilence(portal: Portal): void {
    const oldestUs = portal.flight[0]?.sentUs ?? Number.POSITIVE_INFINITY;
    const quietUs = this.nowUs - Math.max(portal.heardUs, oldestUs);
    if (portal.silent || quietUs < this.silenceUs) return;
    portal.silent = true;
    portal.probeUs = this.nowUs;
    portal.flight = [];
    portal.ladder.silent(this.nowUs);
  }

  #transmit(portal: Portal, transport: Transport, octets: number): void {
    const packet = { sentUs: this.nowUs, octets };
    portal.flight.push(packet);
    const fate = this.#passes(portal.side, transport, octets);
    const to = this.portal(portal.side === "local" ? "remote" : "local");
    if (fate === "mangled") this.#later(RTT_US / 2, () => (to.ladder.badTags += 1));
    if (fate !== "passes") return;
    this.#later(this.way(portal.side, transport).delayUs, () => {
      // The acknowledgement goes back by what carries the receiver's own DATA.
      const back = to.ladder.current;
      if (this.answeredElsewhere) {
        this.#later(RTT_US / 2, () => this.#acknowledge(portal, packet));
        return;
      }
      if (back === null || this.#passes(to.side, back, 60) !== "passes") return;
      this.#later(this.way(to.side, back).delayUs, () => this.#acknowledge(portal, packet));
    });
  }

  #acknowledge(portal: Portal, packet: Packet): void {
    portal.heardUs = this.nowUs;
    const wasSilent = portal.silent;
    portal.silent = false;
    if (packet.octets >= FULL_OCTETS) {
      portal.delivered += 1;
      portal.lastDeliveredUs = this.nowUs;
    }
    const at = portal.flight.indexOf(packet);
    if (at < 0) return;
    // Three newer ones have come: what is older is lost (RFC 9002 section 6.1.1).
    const lost = Math.max(at - 3, 0);
    portal.flight.splice(at, 1);
    portal.flight.splice(0, lost);
    portal.ladder.loss(this.nowUs, lost, 1);
    if (wasSilent) portal.ladder.heard(this.nowUs);
  }

  #check(portal: Portal): void {
    const { current, usable } = portal.ladder;
    if (current === null) return;
    assert.ok(usable[transportNumber(current)], this.say(`${current} carries and is not usable`));
    if (portal.side === "local" || current !== "raw") return;
    const ageUs = this.nowUs - portal.rawHeardUs;
    assert.ok(ageUs <= 30 * SECOND + MS, this.say("Remote sends by raw and does not hear it"));
  }

  /** Chance, for scripts of faults. */
  chance(): number {
    return this.#random.next();
  }
}
