/**
 * What every packet I/O back-end does, and how it is measured: a sender puts IPv4 packets of IP
 * protocol 253 on the wire, a receiver takes them off, both count into a `Meter`.
 */

/** `mpfwd`: one packet a call, as it is. `mpfwd-hmac`: batches, sealed with HMAC-SHA256. */
export type BackendName = "mpfwd" | "mpfwd-hmac" | "raw-socket" | "cap";

/** RFC 3692 section 2.1: for experimentation. */
export const IP_PROTOCOL = 253;
/** Without options. */
export const IP_HEADER_OCTETS = 20;
/** Asked for by every back-end; `raw-socket` gets what `net.core.rmem_max` allows. */
export const BUFFER_OCTETS = 8 * 1024 * 1024;
/** Packets that a sender hands over in one turn of the event loop. */
export const BATCH = 128;

export interface End {
  readonly address: string;
  readonly device: string;
  /** `02:00:00:00:00:01` */
  readonly mac: string;
}

export interface Setup {
  readonly task: "send" | "receive";
  readonly backend: BackendName;
  /** Of an IP packet as it is on the wire, header and tag included. */
  readonly octets: number;
  /** How long to send. */
  readonly seconds: number;
  readonly local: End;
  readonly remote: End;
}

export interface Backend {
  /** Sends until `performance.now()` is `endMs`. */
  send(setup: Setup, meter: Meter, endMs: number): Promise<void>;
  /** Counts packets of the expected length as they come, until the process ends. */
  receive(setup: Setup, meter: Meter): void;
}

export interface Report {
  /** Of the whole run. */
  readonly packets: number;
  /** The next two without the warm-up. */
  readonly packetsPerSecond: number;
  /** User and system, of this process. */
  readonly cpuPerMillion: number;
  /** Of that, spent on hashing what was sent or received; null: no tags. */
  readonly hmacPerMillion: number | null;
}

/** Until the code of this process is compiled. */
const WARM_MS = 200;
/** A look at the clocks costs a microsecond or two. */
const MARK_PACKETS = 1024;

interface Mark {
  readonly ms: number;
  readonly cpuSeconds: number;
  readonly packets: number;
}

/**
 * Counts packets and looks at the clocks every MARK_PACKETS of them. By packets and not by a timer,
 * because a back-end may keep the event loop busy for as long as packets come.
 */
export class Meter {
  /** Seconds of CPU that hashing one packet takes. */
  hmacSeconds: number | null = null;
  readonly #marks: Mark[] = [];
  #packets = 0;
  #next = 0;

  add(packets: number): void {
    this.#packets += packets;
    if (this.#packets < this.#next) return;
    this.#next = this.#packets + MARK_PACKETS;
    const { user, system } = process.cpuUsage();
    const cpuSeconds = (user + system) / 1e6;
    this.#marks.push({ ms: performance.now(), cpuSeconds, packets: this.#packets });
  }

  /** @throws Error when next to nothing moved */
  report(): Report {
    const warmMs = (this.#marks[0]?.ms ?? 0) + WARM_MS;
    const from = this.#marks.find(({ ms }) => ms >= warmMs);
    const to = this.#marks.at(-1);
    if (from === undefined || to === undefined || from === to) {
      throw new Error(`only ${this.#packets} packets in the whole run`);
    }
    const packets = to.packets - from.packets;
    const { hmacSeconds } = this;
    return {
      packets: this.#packets,
      packetsPerSecond: (packets / (to.ms - from.ms)) * 1000,
      cpuPerMillion: ((to.cpuSeconds - from.cpuSeconds) / packets) * 1e6,
      hmacPerMillion: hmacSeconds === null ? null : hmacSeconds * 1e6,
    };
  }
}

/** Calls `turn` once a turn of the event loop until `endMs`. */
export function everyTurn(endMs: number, turn: () => void): Promise<void> {
  return new Promise((resolve) => {
    const next = () => {
      turn();
      if (performance.now() < endMs) setImmediate(next);
      else resolve();
    };
    next();
  });
}
