/**
 * One transport's socket of one link of a Local Portal: opened, tried again, opened anew. What is not there
 * yet is an attempt that failed, not an end.
 */
import { MpfwdError } from "../core/errors.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import type { HostAddress } from "../io/names.ts";
import { openLinkSocket } from "../io/sockets.ts";
import { type Engine, type Handle, READY, type SocketError } from "../native/native.ts";
import type { Route } from "./carrier.ts";
import type { LinkConfig, LocalConfig } from "./config.ts";

/** A socket that did not open is tried again this often. */
const RETRY_US = 5 * SECOND;
/** A connection that was refused or has ended is the last resort: it may be wanted any moment. */
const RECONNECT_US = 1 * SECOND;
/**
 * For so long after one that stood has ended it is tried more often: its other end starts again. One that had stood for as
 * long is made anew at once: a translation may have forgotten it.
 */
const RECONNECT_SOON = { forUs: 3 * SECOND, pauseUs: 100 * MS } as const;
/** A connection that is not there after so long is given up: the kernel would ask ever more seldom. */
const CONNECT_US = 4 * SECOND;

export class LinkSocket {
  readonly transport: Transport;
  readonly config: LinkConfig;
  /** 0: none is open. */
  handle: Handle = 0;
  family: 4 | 6 = 6;
  /** Where it leads, text; null: it was never open. */
  address: string | null = null;
  /** The address that it sends from, text. */
  local = "";
  /** Index of the device that it was opened for; 0: not known. */
  device = 0;
  failure: MpfwdError | undefined;
  error: SocketError | undefined;
  retryUs: TimeUs = NEVER;
  /** When the present socket was opened. */
  openedUs: TimeUs = 0;
  /** Messages can be sent: always, but before a TCP connection stands. */
  connected = false;
  readonly #local: LocalConfig;
  /** When the last connection that stood was closed. */
  #endedUs: TimeUs = Number.NEGATIVE_INFINITY;

  constructor(transport: Transport, config: LinkConfig, local: LocalConfig) {
    this.transport = transport;
    this.config = config;
    this.#local = local;
  }

  /** Undefined while nothing can be sent. */
  get route(): Route | undefined {
    if (this.handle === 0 || !this.connected) return undefined;
    return { socket: this.handle, transport: this.transport, family: this.family, path: null };
  }

  /**
   * Opens the socket, closing an older one; true when it is open. `index`: of the device that packets leave by.
   *
   * @throws MpfwdError ERR_PRIVILEGE
   */
  open(engine: Engine, { address, family }: HostAddress, index: number): boolean {
    this.retryUs = NEVER;
    try {
      const { device, source } = this.config;
      const { port, protocol, tunnel } = this.#local;
      const handle = openLinkSocket(engine, {
        ...{ transport: this.transport, address, family, port, protocol },
        segmentation: tunnel.offload,
        ...(device === undefined ? {} : { device }),
        ...(source === undefined ? {} : { source }),
      });
      this.#replace(engine, handle, { address, family });
      this.local = engine.localAddress(handle).address;
      this.device = index;
      return true;
    } catch (cause) {
      this.retryUs = engine.nowUs() + RETRY_US;
      if (!(cause instanceof MpfwdError) || cause.code === "ERR_PRIVILEGE") throw cause;
      this.failure = cause;
      return false;
    }
  }

  /** A connection that does not come about, or has ended: tried again after a while. */
  close(engine: Engine): void {
    if (this.handle === 0) return;
    const nowUs = engine.nowUs();
    engine.close(this.handle);
    this.handle = 0;
    const { forUs, pauseUs } = RECONNECT_SOON;
    const steady = this.connected && nowUs - this.openedUs >= forUs;
    if (this.connected) this.#endedUs = nowUs;
    this.connected = false;
    const soonUs = nowUs - this.#endedUs < forUs ? pauseUs : RECONNECT_US;
    this.retryUs = nowUs + (steady ? 0 : soonUs);
  }

  /** A connection has been under way for too long. */
  overdue(nowUs: TimeUs): boolean {
    return this.handle !== 0 && !this.connected && nowUs - this.openedUs > CONNECT_US;
  }

  #replace(engine: Engine, handle: Handle, { address, family }: HostAddress): void {
    if (this.handle !== 0) engine.close(this.handle);
    this.handle = handle;
    this.openedUs = engine.nowUs();
    this.address = address;
    this.family = family;
    this.connected = this.transport !== "tcp";
    if (!this.connected) engine.setInterest(handle, READY.readable | READY.writable);
    this.failure = undefined;
    this.error = undefined;
  }
}
