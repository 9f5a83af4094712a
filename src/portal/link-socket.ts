/**
 * The socket of one link of a Local Portal: resolved, opened, tried again, reopened. A link whose
 * device, address or name is not there yet is an attempt that failed, not an end.
 */
import { MpfwdError } from "../core/errors.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { openLinkSocket, resolveHost } from "../io/sockets.ts";
import type { Engine, Handle, SocketError } from "../native/native.ts";
import type { LinkConfig, LocalConfig } from "./config.ts";

/** A socket that did not open is tried again this often. */
const RETRY_US = 5 * SECOND;

export class LinkSocket {
  readonly number: number;
  readonly config: LinkConfig;
  /** 0: none is open. */
  handle: Handle = 0;
  family: 4 | 6 = 6;
  /** As resolved, text; null before. */
  address: string | null = null;
  failure: MpfwdError | undefined;
  error: SocketError | undefined;
  retryUs: TimeUs = NEVER;
  /** When the present socket was opened. */
  openedUs: TimeUs = 0;
  readonly #local: LocalConfig;
  #opening = false;

  constructor(number: number, config: LinkConfig, local: LocalConfig) {
    this.number = number;
    this.config = config;
    this.#local = local;
  }

  /** Opens the socket, closing an older one; true when it is open. Never throws but ERR_PRIVILEGE. */
  async open(engine: Engine): Promise<boolean> {
    if (this.#opening) return false;
    this.#opening = true;
    this.retryUs = NEVER;
    try {
      const { device, source, transport, remote } = this.config;
      const { address, family } = await resolveHost(remote, source);
      const { port, protocol, tunnel } = this.#local;
      const segmentation = tunnel.offload;
      this.#replace(engine, {
        handle: openLinkSocket(engine, {
          ...{ transport, address, family, port, protocol, segmentation },
          ...(device === undefined ? {} : { device }),
          ...(source === undefined ? {} : { source }),
        }),
        address,
        family,
      });
      return true;
    } catch (cause) {
      this.retryUs = engine.nowUs() + RETRY_US;
      if (!(cause instanceof MpfwdError) || cause.code === "ERR_PRIVILEGE") throw cause;
      this.failure = cause;
      return false;
    } finally {
      this.#opening = false;
    }
  }

  #replace(engine: Engine, opened: { handle: Handle; address: string; family: 4 | 6 }): void {
    if (this.handle !== 0) engine.close(this.handle);
    this.handle = opened.handle;
    this.openedUs = engine.nowUs();
    this.address = opened.address;
    this.family = opened.family;
    this.failure = undefined;
    this.error = undefined;
  }
}
