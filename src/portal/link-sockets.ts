/**
 * The sockets of one link of a Local Portal, one a transport that it may use. Those without a
 * connection are open all the time, TCP when it is wanted.
 */
import type { TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import { type HostAddress, literalAddress } from "../io/names.ts";
import type { Handle, SocketError } from "../native/native.ts";
import type { LinkConfig, LocalConfig } from "./config.ts";
import { LinkSocket } from "./link-socket.ts";
import { isOwnAddress, type Kernel, type Place, type Way } from "./place.ts";

export class LinkSockets {
  /** 0..15. */
  readonly number: number;
  readonly config: LinkConfig;
  /** Best transport first. */
  readonly each: readonly LinkSocket[];
  /** Where it leads; null: its name has not been resolved yet. */
  remote: HostAddress | null;
  /** Why its name has no address, if it was asked for one. */
  nameless: string | undefined;
  /** By which way it leaves the machine. */
  place: Place = { tag: "usable", device: 0, via: null, source: null };

  constructor(number: number, config: LinkConfig, local: LocalConfig) {
    this.remote = literalAddress(config.remote);
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

  /** Where the link leads, text; null before its name is resolved. */
  get address(): string | null {
    return this.remote?.address ?? null;
  }

  get way(): Way {
    const { device, source } = this.config;
    return { device, source, remote: this.address };
  }

  /** Before it is known: 6, which costs more. */
  get family(): 4 | 6 {
    return this.remote?.family ?? 6;
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

  /** Why nothing can be sent; undefined: nothing is known to be wrong. */
  get failure(): string | undefined {
    if (this.place.tag === "unusable") return this.place.why;
    if (this.remote === null) return this.nameless;
    if (this.each.some(({ handle }) => handle !== 0)) return undefined;
    return this.each.find(({ failure }) => failure !== undefined)?.failure?.message;
  }

  /** TCP is opened only when it is wanted, or when there is nothing else. */
  due(transport: Transport, wantsTcp: boolean): boolean {
    return transport !== "tcp" || wantsTcp || this.each.length === 1;
  }

  /** The socket is open, and what it was opened with is gone: the device, the local or the remote address. */
  isStale(kernel: Kernel, socket: LinkSocket): boolean {
    const { place, remote, config } = this;
    if (socket.handle === 0 || place.tag === "unusable") return false;
    if (socket.address !== remote?.address) return true;
    const elsewhere = socket.device !== 0 && place.device !== socket.device;
    // With an address of its own and bound to no device, a socket follows the routes.
    if (elsewhere && (config.device !== undefined || config.source === undefined)) return true;
    try {
      return !isOwnAddress(kernel, socket.local);
    } catch {
      return false;
    }
  }
}
