/**
 * Keeps outer packets out of the tunnel while the machine's own routes change: the host routes past it follow
 * the default route, its gateway and the addresses of names. Looks when the portal says that something has
 * changed, at most once a second.
 */
import type { Log } from "../core/log.ts";
import { type Prefix, parseAddress } from "../core/prefix.ts";
import { askWayBeside } from "../host/host.ts";
import { outerRoutes } from "../host/plan.ts";
import type { Way } from "../portal/place.ts";
import type { KeptChanges } from "./kept-changes.ts";

/** What comes together is looked at once: a device that comes up gets its address and routes one by one. */
const GATHER_MS = 50;
const INTERVAL_MS = 1_000;

export interface OuterRoutesOptions {
  /** Name of the tunnel's device. */
  readonly tunnel: string;
  /** The routes into it. */
  readonly routes: readonly Prefix[];
  /** Where links lead now. */
  readonly ways: () => readonly Way[];
  readonly kept: KeptChanges;
  readonly log: Log;
}

export class OuterRoutes {
  readonly #options: OuterRoutesOptions;
  #timer: NodeJS.Timeout | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** Something has changed since the last look began. */
  #due = false;
  #said = "";
  #closed = false;

  constructor(options: OuterRoutesOptions) {
    this.#options = options;
  }

  /** Routes, devices or names may have changed. */
  changed(): void {
    this.#due = true;
    if (this.#closed || this.#timer !== undefined) return;
    const waitMs = Math.max(GATHER_MS, this.#lookedMs + INTERVAL_MS - performance.now());
    this.#timer = setTimeout(() => void this.#look(), waitMs).unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    this.#lookedMs = performance.now();
    this.#due = false;
    const complaint = await this.#follow().catch((cause: unknown) =>
      cause instanceof Error ? cause.message : String(cause),
    );
    if (complaint !== "" && complaint !== this.#said) {
      this.#options.log.warn(`the routes past the tunnel: ${complaint}`);
    }
    this.#said = complaint;
    this.#timer = undefined;
    // What came while it looked may not have been seen.
    if (this.#due) this.changed();
  }

  async #follow(): Promise<string> {
    const { ways, tunnel, routes, kept } = this.#options;
    const found = ways().map(({ remote, source, device }) => {
      const address = remote === null ? null : parseAddress(remote);
      return address === null ? null : askWayBeside({ address, source, device }, tunnel);
    });
    const outer = (await Promise.all(found)).filter((path) => path !== null);
    return kept.replaceOuter(outerRoutes(outer, routes));
  }
}
