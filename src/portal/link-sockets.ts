/**
 * The sockets of one link of a Local Portal, one a transport that it may use. Those without a
 * connection are open all the time, TCP when it is wanted.
 */
import type { TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import type { Handle, SocketError } from "../native/native.ts";
import type { LinkConfig, LocalConfig } from "./config.ts";
import { LinkSocket } from "./link-socket.ts";

export class LinkSockets {
  /** 0..15. */
  readonly number: number;
  readonly config: LinkConfig;
  /** Best transport first. */
  readonly each: readonly LinkSocket[];

  constructor(number: number, config: LinkConfig, local: LocalConfig) {
    this.number = number;
    this.config = config;
    this.each = config.transports.map((transport) => new LinkSocket(transport, config, local));
  }

  of(transport: Transport): LinkSocket | undefined {
    return this.each.find((socket) => socket.transport === transport);
  }

  owner(handle: Handle): LinkSocket | undefined {
    return this.each.find((socket) => socket.handle === handle);
  }

  /** Where the link leads, as resolved; null before. */
  get address(): string | null {
    return this.each.find(({ address }) => address !== null)?.address ?? null;
  }

  /** Of the sockets that are open, else of what IPv6 would cost. */
  get family(): 4 | 6 {
    return this.each.find(({ handle }) => handle !== 0)?.family ?? 6;
  }

  /** The newest moment at which a socket was opened. */
  get openedUs(): TimeUs {
    return Math.max(...this.each.map(({ openedUs }) => openedUs));
  }

  /** What the network has said of one of them. */
  get error(): SocketError | undefined {
    return this.each.find(({ error }) => error !== undefined)?.error;
  }

  /** An old error must not decide the next diagnosis. */
  forgetErrors(): void {
    for (const socket of this.each) socket.error = undefined;
  }

  /** Why none is open; undefined: one is. */
  get failure(): string | undefined {
    if (this.each.some(({ handle }) => handle !== 0)) return undefined;
    return this.each.find(({ failure }) => failure !== undefined)?.failure?.message;
  }

  /** TCP is opened only when it is wanted, or when there is nothing else. */
  due(transport: Transport, wantsTcp: boolean): boolean {
    return transport !== "tcp" || wantsTcp || this.each.length === 1;
  }
}
