/** The sockets of one probed link, a connected one for each transport, and what becomes of them. */
import { MpfwdError } from "../core/errors.ts";
import { TRANSPORTS, type Transport } from "../core/transport.ts";
import { type LinkTarget, openLinkSocket } from "../io/sockets.ts";
import type { Engine, Handle } from "../native/native.ts";
import type { Endpoint } from "../probe/measurement.ts";

export interface LinkForm {
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
  readonly protocol: number;
  readonly device?: string;
  readonly source?: string;
}

interface LinkSocket {
  readonly transport: Transport;
  readonly handle: Handle;
  /** TCP: once it is connected. */
  open: boolean;
}

export class LinkSockets {
  /** Why a transport has no socket: errno names. */
  readonly failures = new Map<Transport, string>();
  /** Raw, under the other protocol number; 0: none. */
  readonly other: Handle;
  readonly #engine: Engine;
  readonly #form: LinkForm;
  readonly #sockets: LinkSocket[] = [];

  /** @throws MpfwdError ERR_PRIVILEGE */
  constructor(engine: Engine, form: LinkForm, otherProtocol: number) {
    this.#engine = engine;
    this.#form = form;
    for (const transport of TRANSPORTS) {
      const handle = this.#open(transport, form.protocol);
      if (handle !== 0) this.#sockets.push({ transport, handle, open: transport !== "tcp" });
    }
    this.other = this.#open("raw", otherProtocol);
  }

  /** Those that may carry messages now. */
  get open(): readonly Transport[] {
    return this.#sockets.flatMap(({ transport, open }) => (open ? [transport] : []));
  }

  handleOf(transport: Transport): Handle {
    return this.#sockets.find((socket) => socket.transport === transport)?.handle ?? 0;
  }

  transportOf(handle: Handle): Transport | undefined {
    return this.#sockets.find((socket) => socket.handle === handle)?.transport;
  }

  /** A TCP connection is there. */
  connected(handle: Handle): void {
    const socket = this.#sockets.find((candidate) => candidate.handle === handle);
    if (socket !== undefined) socket.open = true;
  }

  isOpen(transport: Transport): boolean {
    return this.#sockets.some((socket) => socket.transport === transport && socket.open);
  }

  /** A connection that has failed or ended. */
  close(transport: Transport, failure: string): void {
    const at = this.#sockets.findIndex((socket) => socket.transport === transport);
    const [socket] = at < 0 ? [] : this.#sockets.splice(at, 1);
    if (socket !== undefined) this.#engine.close(socket.handle);
    this.failures.set(transport, failure);
  }

  localOf(transport: Transport): Endpoint | null {
    const handle = this.handleOf(transport);
    return handle === 0 ? null : this.#engine.localAddress(handle);
  }

  #open(transport: Transport, protocol: number): Handle {
    const form = { segmentation: false, arrivalHopLimit: true };
    const target: LinkTarget = { ...this.#form, transport, protocol, ...form };
    try {
      return openLinkSocket(this.#engine, target);
    } catch (cause) {
      if (!(cause instanceof MpfwdError) || cause.code === "ERR_PRIVILEGE") throw cause;
      this.failures.set(transport, errnoOf(cause));
      return 0;
    }
  }
}

function errnoOf(error: MpfwdError): string {
  const { cause } = error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : error.message;
}
