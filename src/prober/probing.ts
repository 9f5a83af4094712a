/**
 * The probing side at work: sockets of every link, one probing session over all of them, a prober for
 * each. Ends when every prober is done, or when nobody has answered for SESSION_PATIENCE_US.
 */
import { randomBytes } from "node:crypto";
import { Arena } from "../core/arena.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { TRANSPORTS, type Transport } from "../core/transport.ts";
import {
  type Engine,
  type Handle,
  INFO_HOP_LIMIT_SHIFT,
  loadNative,
  READY,
} from "../native/native.ts";
import type { LinkMeasurement } from "../probe/measurement.ts";
import { Prober } from "../probe/prober.ts";
import type { TraceResult } from "../probe/tracer.ts";
import type { InitiatorEffect } from "../session/effects.ts";
import { Initiator } from "../session/initiator.ts";
import { SUITE } from "../wire/offer.ts";
import { TYPE, typeOf } from "../wire/preamble.ts";
import { LinkSockets } from "./link-sockets.ts";
import type { ProbedLink, ProbingOptions, ProbingProgress, Refusal } from "./probing-options.ts";
import { Pump, type PumpOwner } from "./pump.ts";
import { Tracing } from "./tracing.ts";
import { type Wire, Wiring } from "./wiring.ts";

/** Without an answer for so long there is none. */
const SESSION_PATIENCE_US = 10 * SECOND;
/** Links that have not attached when others have, after the first one. */
const LINK_PATIENCE_US = 5 * SECOND;
const SLOTS = 1024;
const DATA_TAG = 10;
/** Of RFC 3692: where one is taken, the other may pass. */
const OTHER_PROTOCOL = { standard: 253, second: 254 } as const;

interface Probed {
  readonly form: ProbedLink;
  readonly number: number;
  readonly sockets: LinkSockets;
  readonly prober: Prober;
  wire: Wire | null;
  tracing: Tracing | null;
}

export class Probing implements PumpOwner {
  refusal: Refusal | null = null;
  readonly #engine: Engine;
  readonly #arena = new Arena(SLOTS);
  readonly #wiring: Wiring;
  readonly #pump: Pump;
  readonly #links: readonly Probed[];
  readonly #options: ProbingOptions;
  #initiator: Initiator;
  #startedUs: TimeUs;
  #attachedUs: TimeUs = NEVER;
  #retried = false;
  /** Everything is measured; what follows is the trace. */
  #measured = false;
  #over = false;
  #resolve: () => void = () => {};
  /** Settles when everything is measured. */
  readonly done: Promise<void>;

  /** Opens the sockets. @throws MpfwdError ERR_ADDON_MISSING or ERR_PRIVILEGE */
  constructor(options: ProbingOptions) {
    this.#options = options;
    this.#engine = loadNative().createEngine(this.#arena.memory, SLOTS);
    this.#wiring = new Wiring(this.#engine, this.#arena);
    this.#pump = new Pump(this.#engine, this.#arena, this);
    this.#links = options.links.map((form, number) => this.#makeLink(form, number));
    this.#initiator = this.#makeInitiator(SUITE.hmacSha256, DATA_TAG);
    this.#startedUs = this.#engine.nowUs();
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  start(): void {
    for (const { sockets } of this.#links) {
      const tcp = sockets.handleOf("tcp");
      if (tcp !== 0) this.#engine.setInterest(tcp, READY.readable | READY.writable);
    }
    this.#engine.keepMangled(true);
    this.#initiator.start(this.#startedUs);
    this.#pump.start();
  }

  /** Says goodbye and closes everything. @returns what was measured, link by link */
  stop(): LinkMeasurement[] {
    this.#over = true;
    const measurements = this.#measure();
    this.#initiator.close(this.#engine.nowUs());
    this.#drain(this.#engine.nowUs());
    this.#engine.destroy();
    return measurements;
  }

  /** Of the link that is behind most. */
  get progress(): ProbingProgress {
    const busy = this.#links.filter(({ wire, prober }) => wire !== null && !prober.done);
    if (this.#measured) return { title: "hop by hop", step: 0, steps: 1 };
    const [first] = busy.sort((a, b) => share(a.prober.progress) - share(b.prober.progress));
    return first?.prober.progress ?? { title: "calling the portal", step: 0, steps: 1 };
  }

  /** Null: was not asked for. */
  traceOf(index: number): TraceResult | null {
    return this.#links[index]?.tracing?.result() ?? null;
  }

  onAccept(): boolean {
    return false;
  }

  onMessage(nowUs: TimeUs, handle: Handle, slot: number): void {
    const found = this.#ownerOf(handle);
    if (found === null) return;
    const { transport } = found;
    const context = this.#arena.context[slot] as number;
    // Every raw socket hears the packets of all links to the same portal: the keys say whose one is.
    const bound = transport === "raw" ? this.#wiring.wire(context)?.link : undefined;
    const link = bound === undefined ? found.link : (this.#links[bound] as Probed);
    const octets = this.#arena.read(slot);
    const type = typeOf(this.#arena, slot);
    const info = this.#arena.info[slot] as number;
    if (type === TYPE.control && link.wire?.context === context) {
      if (link.tracing?.receive(nowUs, octets) === true) return;
      const hopLimit = (info >>> INFO_HOP_LIMIT_SHIFT) & 0xff;
      if (link.prober.receive(nowUs, transport, octets, info & 0xff, hopLimit)) return;
    }
    const seq = this.#arena.seq[slot] as number;
    this.#initiator.handle(nowUs, { type, octets, seq, context, link: link.number, transport });
    this.#drain(nowUs);
  }

  onWritable(nowUs: TimeUs, handle: Handle): void {
    const found = this.#ownerOf(handle);
    if (found === null) return;
    const { link, transport } = found;
    this.#engine.setInterest(handle, READY.readable);
    if (link.sockets.isOpen(transport)) return;
    link.sockets.connected(handle);
    if (link.wire !== null) this.#use(nowUs, link, link.wire, transport);
  }

  onError(nowUs: TimeUs, handle: Handle): void {
    const tracing = this.#links.find((link) => link.tracing?.transportOf(handle) !== undefined);
    tracing?.tracing?.onError(nowUs, handle);
    if (tracing !== undefined) return;
    const error = this.#engine.takeErrors(handle);
    const found = this.#ownerOf(handle);
    // A trace's answers reach every raw socket.
    if (error === null || found === null || this.#measured) return;
    const { link, transport } = found;
    const { icmp, code, count } = error;
    if (handle === link.sockets.other) {
      if (icmp?.from === link.form.address) link.prober.otherProtocolRefused();
      return;
    }
    if (icmp !== null) link.prober.icmp(transport, icmp, count);
    else link.prober.error(transport, code, count);
    if (transport !== "tcp") return;
    link.sockets.close("tcp", code);
    link.prober.failed("tcp", code);
  }

  tick(nowUs: TimeUs): void {
    if (this.#over) return;
    if (this.#initiator.deadlineUs() <= nowUs) {
      this.#initiator.timeout(nowUs);
      this.#drain(nowUs);
    }
    const mangled = this.#engine.takeMangled();
    for (const link of this.#links) {
      if (mangled !== null && mangled.linkId === link.wire?.id) link.prober.mangled(mangled.octets);
      if (link.wire !== null) this.#probe(nowUs, link, link.wire);
    }
    if (!this.#measured && this.#isDone(nowUs)) this.#trace(nowUs);
    for (const { tracing, wire } of this.#links) tracing?.tick(nowUs, wire);
    if (this.#measured && this.#links.every(({ tracing }) => tracing?.done ?? true)) {
      this.#over = true;
      this.#resolve();
    }
  }

  deadlineUs(): TimeUs {
    if (this.#over) return NEVER;
    let dueUs = this.#initiator.deadlineUs();
    if (this.#measured) {
      const traceUs = this.#links.map(({ tracing }) => tracing?.deadlineUs() ?? NEVER);
      return Math.min(dueUs, ...traceUs);
    }
    if (this.#attachedUs === NEVER) dueUs = Math.min(dueUs, this.#startedUs + SESSION_PATIENCE_US);
    for (const { wire, prober } of this.#links) {
      const linkUs = wire === null ? this.#attachedUs + LINK_PATIENCE_US : prober.deadlineUs();
      dueUs = Math.min(dueUs, linkUs);
    }
    return dueUs;
  }

  #measure(): LinkMeasurement[] {
    return this.#links.map(({ prober, sockets, wire }) => {
      const unused = wire === null ? sockets.open : [];
      for (const transport of unused) prober.unused(transport, sockets.localOf(transport));
      for (const [transport, failure] of sockets.failures) prober.failed(transport, failure);
      if (sockets.handleOf("tcp") !== 0 && !sockets.isOpen("tcp")) prober.failed("tcp", "timeout");
      return prober.measurement();
    });
  }

  #makeLink(form: ProbedLink, number: number): Probed {
    const { standard, second } = OTHER_PROTOCOL;
    const other = form.protocol === standard ? second : standard;
    const sockets = new LinkSockets(this.#engine, form, other);
    const { rate, durationUs, long } = this.#options;
    const { family, mtu } = form;
    const prober = new Prober({
      ...{ family, rate, durationUs, long, linkMtu: mtu, random: randomBytes },
      otherProtocol: sockets.other !== 0,
    });
    return { form, number, sockets, prober, wire: null, tracing: null };
  }

  #makeInitiator(suite: number, dataTag: number): Initiator {
    return new Initiator({
      ...{ clientId: this.#options.clientId, key: this.#options.key, suite, dataTag },
      links: this.#links.map(({ number }) => ({ number, transports: TRANSPORTS })),
      ...{ purpose: "probe", random: randomBytes },
    });
  }

  #trace(nowUs: TimeUs): void {
    this.#measured = true;
    if (!this.#options.trace || this.refusal !== null) return;
    for (const link of this.#links) {
      link.tracing = new Tracing(nowUs, this.#engine, this.#wiring, link.form);
    }
  }

  #isDone(nowUs: TimeUs): boolean {
    if (this.refusal !== null) return true;
    if (this.#attachedUs === NEVER) return nowUs >= this.#startedUs + SESSION_PATIENCE_US;
    return this.#links.every(({ wire, prober }) =>
      wire === null ? nowUs >= this.#attachedUs + LINK_PATIENCE_US : prober.done,
    );
  }

  #probe(nowUs: TimeUs, { prober, sockets }: Probed, wire: Wire): void {
    for (;;) {
      const departure = prober.poll(nowUs);
      if (departure === null) return;
      const { transport, body, trafficClass, otherProtocol } = departure;
      if (otherProtocol) this.#wiring.route(wire, "raw", sockets.other, null);
      const unsent = this.#wiring.send(wire, transport, body, trafficClass);
      if (otherProtocol) this.#wiring.route(wire, "raw", sockets.handleOf("raw"), null);
      if (unsent !== null) prober.unsent(departure, unsent);
    }
  }

  #drain(nowUs: TimeUs): void {
    for (;;) {
      const effect = this.#initiator.pollEffect();
      if (effect === undefined) return;
      this.#perform(nowUs, effect);
    }
  }

  #perform(nowUs: TimeUs, effect: InitiatorEffect): void {
    switch (effect.tag) {
      case "send":
        this.#send(effect.link, effect.transport, effect.octets);
        break;
      case "attached":
        this.#attached(nowUs, effect);
        break;
      case "refused":
        this.#refused(effect);
        break;
      default:
        this.#wiring.perform(effect);
    }
  }

  #send(number: number, transport: Transport | null, octets: Uint8Array): void {
    const { sockets } = this.#links[number] as Probed;
    for (const one of transport === null ? sockets.open : [transport]) {
      const handle = sockets.handleOf(one);
      if (handle !== 0) this.#wiring.sendPlain(handle, octets, null);
    }
  }

  #attached(nowUs: TimeUs, effect: Extract<InitiatorEffect, { readonly tag: "attached" }>): void {
    const wire = this.#wiring.wire(effect.context);
    const link = this.#links[effect.link];
    if (wire === undefined || link === undefined || link.wire !== null) return;
    wire.transmitId = effect.transmitId;
    link.wire = wire;
    if (this.#attachedUs === NEVER) this.#attachedUs = nowUs;
    link.prober.attached(effect.transport);
    for (const transport of link.sockets.open) this.#use(nowUs, link, wire, transport);
  }

  #use(nowUs: TimeUs, link: Probed, wire: Wire, transport: Transport): void {
    this.#wiring.route(wire, transport, link.sockets.handleOf(transport), null);
    link.prober.opened(nowUs, transport, link.sockets.localOf(transport));
  }

  /** What the Remote Portal requires of DATA is no obstacle here: the second offer says the same. */
  #refused(effect: Extract<InitiatorEffect, { readonly tag: "refused" }>): void {
    const mendable = effect.reason === "encrypt" || effect.reason === "tag";
    if (this.#retried || !mendable) {
      this.refusal = { reason: effect.reason };
      return;
    }
    this.#retried = true;
    const dataTag = effect.suite === SUITE.aes128Gcm ? 16 : effect.dataTag;
    const nowUs = this.#engine.nowUs();
    this.#initiator.close(nowUs);
    this.#drain(nowUs);
    this.#initiator = this.#makeInitiator(effect.suite, dataTag);
    this.#initiator.start(nowUs);
    this.#drain(nowUs);
  }

  #ownerOf(handle: Handle): { link: Probed; transport: Transport } | null {
    for (const link of this.#links) {
      const other = handle === link.sockets.other ? "raw" : undefined;
      const traced = link.tracing?.transportOf(handle);
      const transport = link.sockets.transportOf(handle) ?? other ?? traced;
      if (transport !== undefined) return { link, transport };
    }
    return null;
  }
}

function share({ step, steps }: ProbingProgress): number {
  return step / Math.max(1, steps);
}
