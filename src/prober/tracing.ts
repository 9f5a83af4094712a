/** A trace at work: sockets of its own for one link, whose hop limit each packet sets anew. */
import { randomBytes } from "node:crypto";
import { MpfwdError } from "../core/errors.ts";
import type { TimeUs } from "../core/time.ts";
import { transportNumber } from "../core/transport.ts";
import { openLinkSocket } from "../io/sockets.ts";
import type { Engine, Handle } from "../native/native.ts";
import {
  TRACED,
  type Traced,
  type TracePacket,
  type TraceResult,
  Tracer,
} from "../probe/tracer.ts";
import { decodeTrain, encodeTrain } from "../wire/measure.ts";
import type { LinkForm } from "./link-sockets.ts";
import type { Wire, Wiring } from "./wiring.ts";

/** No prober gives this number to a train. */
const TRACE_TRAIN = 0xffff;
const TRACE_PACKETS_MAX = 255;
/** Of a body: nothing but its fields. */
const BODY_OCTETS = 40;
/** ICMP answers taken at a time. */
const ERRORS_MAX = 16;

export class Tracing {
  readonly #engine: Engine;
  readonly #wiring: Wiring;
  readonly #tracer: Tracer;
  readonly #sockets = new Map<Traced, Handle>();

  constructor(nowUs: TimeUs, engine: Engine, wiring: Wiring, form: LinkForm) {
    this.#engine = engine;
    this.#wiring = wiring;
    for (const transport of TRACED) this.#open(form, transport);
    this.#tracer = new Tracer(nowUs, form.address, [...this.#sockets.keys()]);
  }

  get done(): boolean {
    return this.#tracer.done;
  }

  deadlineUs(): TimeUs {
    return this.#tracer.deadlineUs();
  }

  result(): TraceResult {
    return this.#tracer.result();
  }

  transportOf(handle: Handle): Traced | undefined {
    return TRACED.find((transport) => this.#sockets.get(transport) === handle);
  }

  /** @param wire - null: no session, so the portal will not answer */
  tick(nowUs: TimeUs, wire: Wire | null): void {
    for (;;) {
      const packet = this.#tracer.poll(nowUs);
      if (packet === null) return;
      this.#send(nowUs, packet, wire);
    }
  }

  /** True: the message answers the trace. */
  receive(nowUs: TimeUs, message: Uint8Array): boolean {
    const packet = decodeTrain(message);
    if (packet === "truncated" || packet.train !== TRACE_TRAIN) return false;
    const transport = TRACED.find((one) => transportNumber(one) === packet.transport);
    if (transport !== undefined) this.#tracer.echo(nowUs, transport, packet.index);
    return true;
  }

  onError(nowUs: TimeUs, handle: Handle): void {
    const transport = this.transportOf(handle);
    for (const { icmp } of this.#engine.takeErrorList(handle, ERRORS_MAX)) {
      if (icmp === null || transport === undefined) continue;
      this.#tracer.icmp(nowUs, transport, icmp.type, icmp.code, icmp.from);
    }
  }

  #send(nowUs: TimeUs, { transport, hops, index }: TracePacket, wire: Wire | null): void {
    const socket = this.#sockets.get(transport) as Handle;
    this.#engine.setHopLimit(socket, hops);
    if (wire === null || !wire.routed.has(transport)) {
      this.#wiring.sendPlain(socket, randomBytes(BODY_OCTETS), null);
      return;
    }
    this.#wiring.route(wire, transport, socket, null);
    const form = { transport: transportNumber(transport), train: TRACE_TRAIN, trafficClass: 0 };
    const body = encodeTrain({
      ...{ ...form, echo: "wanted", otherProtocol: false, index, count: TRACE_PACKETS_MAX },
      ...{ octets: BODY_OCTETS, sentUs: nowUs, token: 0 },
    });
    this.#wiring.send(wire, transport, body, 0);
  }

  #open(form: LinkForm, transport: Traced): void {
    try {
      const target = { ...form, transport, segmentation: false };
      this.#sockets.set(transport, openLinkSocket(this.#engine, target));
    } catch (cause) {
      // Another family's or no route: this transport is not traced.
      if (!(cause instanceof MpfwdError) || cause.code === "ERR_PRIVILEGE") throw cause;
    }
  }
}
