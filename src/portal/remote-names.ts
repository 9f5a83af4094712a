/**
 * Asks for the addresses of the names that links lead to: at the start, while there is none, when a link has
 * been silent and when its way has changed. Whatever becomes of a question, the last address known stays.
 */
import type { Log } from "../core/log.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { type HostAddress, literalAddress, type Names } from "../io/names.ts";
import type { LinkSockets } from "./link-sockets.ts";

/** While a name has no address. */
const ASK_AGAIN_US = 5 * SECOND;
/** While its link is silent. */
const ASK_SILENT_US = 10 * SECOND;
/** However much happens. */
const ASK_INTERVAL_US = 1 * SECOND;

export interface RemoteNamesOptions {
  readonly links: readonly LinkSockets[];
  readonly log: Log;
  readonly nowUs: () => TimeUs;
  readonly names: Pick<Names, "resolve">;
  /** The link's packets arrive nowhere at present. */
  readonly isSilent: (link: LinkSockets) => boolean;
  /** Whether the kernel knows a way to it. */
  readonly leadsTo: (link: LinkSockets, to: HostAddress) => boolean;
  /** The link has an address for the first time, or another. */
  readonly onAddress: (link: LinkSockets) => void;
}

export class RemoteNames {
  readonly #options: RemoteNamesOptions;
  /** Links that stand for names, and when each was asked for last. */
  readonly #askedUs = new Map<LinkSockets, TimeUs>();
  readonly #asking = new Set<LinkSockets>();
  /** Asked for as soon as ASK_INTERVAL_US allows. */
  readonly #hastened = new Set<LinkSockets>();
  #closed = false;

  constructor(options: RemoteNamesOptions) {
    this.#options = options;
    for (const link of options.links) {
      if (literalAddress(link.config.remote) === null) this.#askedUs.set(link, -NEVER);
    }
  }

  /** Asks for all; settled when each has got an answer or none. Never rejects. */
  async start(): Promise<void> {
    await Promise.all([...this.#askedUs.keys()].map((link) => this.#ask(link)));
  }

  /** The link goes another way: the name may mean another address there. */
  hasten(link: LinkSockets): void {
    if (this.#askedUs.has(link)) this.#hastened.add(link);
  }

  /** Answers that are still to come change nothing any more. */
  close(): void {
    this.#closed = true;
  }

  /** Once a second. */
  tick(nowUs: TimeUs): void {
    for (const [link, askedUs] of this.#askedUs) {
      if (nowUs >= askedUs + this.#intervalUs(link)) void this.#ask(link);
    }
  }

  #intervalUs(link: LinkSockets): number {
    if (this.#asking.has(link)) return NEVER;
    if (this.#hastened.has(link)) return ASK_INTERVAL_US;
    if (link.remote === null) return ASK_AGAIN_US;
    return this.#options.isSilent(link) ? ASK_SILENT_US : NEVER;
  }

  async #ask(link: LinkSockets): Promise<void> {
    const { nowUs, log } = this.#options;
    const { remote, source, name } = link.config;
    this.#askedUs.set(link, nowUs());
    this.#asking.add(link);
    this.#hastened.delete(link);
    try {
      const found = await this.#options.names.resolve(remote, source);
      if (!this.#closed) this.#settle(link, found);
    } catch (cause) {
      if (this.#closed) return;
      const why = cause instanceof Error ? cause.message : String(cause);
      if (why !== link.nameless) log.warn(`link ${name}: ${why}; it is asked for again`);
      link.nameless = why;
    }
    this.#asking.delete(link);
  }

  /** Keeps to an address that still belongs to the name, unless nothing leads there. */
  #settle(link: LinkSockets, found: readonly HostAddress[]): void {
    const { leadsTo, isSilent, onAddress } = this.#options;
    const before = link.remote;
    link.nameless = undefined;
    const reached = found.filter((to) => leadsTo(link, to));
    const known = found.find(({ address }) => address === before?.address);
    if (before !== null && !isSilent(link)) return;
    if (known !== undefined && (reached.length === 0 || reached.includes(known))) return;
    const chosen = reached[0] ?? found[0];
    if (chosen === undefined) return;
    link.remote = chosen;
    onAddress(link);
  }
}
