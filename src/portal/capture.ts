/**
 * A capture of outer packets: taps the engine, drains its ring into chunks of whole pcap records, and
 * hands them to a sink as fast as that one takes them. What the ring cannot hold meanwhile is counted by the
 * engine, so that a slow reader costs neither time nor memory. One capture at a time.
 */
import { MpfwdError } from "../core/errors.ts";
import type { DataPath } from "./datapath.ts";
import type { Peer } from "./peer.ts";

/** How often the ring is looked at: its 8 MiB last for 1.3 Gbit/s. */
const DRAIN_INTERVAL_MS = 50;
/** Of one chunk; a record is at most a packet and its 16 octets of header. */
const CHUNK_OCTETS = 256 * 1024;
/** Chunks handed over in one go: the whole ring, and no more. */
const CHUNKS_MAX = 48;

/** Of the names that a refusal tells. */
const NAMES_SHOWN_MAX = 40;
/** Link ids that a capture may name: those of a link of a hundred clients, old keys and new. */
const LINK_IDS_MAX = 256;

/** What the engine does for a capture. */
export interface Tap {
  /**
   * From now on every outer packet is recorded up to `snapOctets`; with `links` only those whose 24-bit
   * link id is among them. Null: no longer.
   */
  tap(options: { readonly snapOctets: number; readonly links?: number[] } | null): void;
  /** Fills `into` with whole records. @returns octets */
  readTap(into: Uint8Array): number;
}

export interface CaptureOptions {
  /** Octets of each packet that are kept. */
  readonly snapOctets: number;
  /** `NAME` or `PEER/NAME`; null: all packets, those of no link too. */
  readonly link: string | null;
}

export interface CaptureSink {
  /** Takes the chunk over. False: enough for now, `drained` will be called. */
  write(records: Uint8Array): boolean;
  /** Everything was written. @param missed - packets that found no room in the ring */
  end(missed: number): void;
}

export interface RunningCapture {
  /** The sink has room again. */
  drained(): void;
  /** Hands over what is left, and ends. Idempotent. */
  stop(): void;
  /** Ends at once: nobody is there to take anything. Idempotent. */
  abandon(): void;
}

/** What is captured from, as far as this file needs it. */
export interface CaptureSource {
  readonly tap: Tap;
  /** Packets that found no room in the ring, ever. */
  readonly missed: () => number;
  /** The 24-bit link ids of the links of this name, theirs and ours, by a look at this moment. */
  readonly linkIds: (name: string) => number[];
  /** Names that `linkIds` knows. */
  readonly linkNames: () => string[];
  /** A capture begins or has ended: the event loop has more to do. */
  readonly onChange: (running: boolean) => void;
}

export class Captures {
  readonly #source: CaptureSource;
  #running: Capture | null = null;

  constructor(source: CaptureSource) {
    this.#source = source;
  }

  /**
   * @throws MpfwdError ERR_IN_USE while another one runs, ERR_USAGE when there is no such link
   */
  begin(options: CaptureOptions, sink: CaptureSink): RunningCapture {
    if (this.#running !== null) {
      throw new MpfwdError("ERR_IN_USE", "another capture runs; one runs at a time");
    }
    if (options.link !== null) this.#check(options.link);
    const capture = new Capture(this.#source, options, sink, () => {
      this.#running = null;
      this.#source.onChange(false);
    });
    this.#running = capture;
    this.#source.onChange(true);
    return capture;
  }

  #check(link: string): void {
    const known = this.#source.linkNames();
    if (!known.includes(link)) {
      const shown = known.slice(0, NAMES_SHOWN_MAX).join(", ") || "none";
      throw new MpfwdError("ERR_USAGE", `there is no link ${link}; there are: ${shown}`);
    }
    if (this.#source.linkIds(link).length > LINK_IDS_MAX) {
      const text = `too many peers have a link ${link}; name one of them: PEER/${link}`;
      throw new MpfwdError("ERR_USAGE", text);
    }
  }

  /** The portal stops. */
  close(): void {
    this.#running?.stop();
  }
}

class Capture implements RunningCapture {
  readonly #source: CaptureSource;
  readonly #options: CaptureOptions;
  readonly #sink: CaptureSink;
  readonly #onEnd: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #missedBefore: number;
  /** The link ids that are tapped, as text to compare. */
  #tapped = "";
  #room = true;
  #ended = false;

  constructor(
    source: CaptureSource,
    options: CaptureOptions,
    sink: CaptureSink,
    onEnd: () => void,
  ) {
    this.#source = source;
    this.#options = options;
    this.#sink = sink;
    this.#onEnd = onEnd;
    this.#missedBefore = source.missed();
    this.#follow();
    this.#timer = setInterval(() => this.#tick(), DRAIN_INTERVAL_MS);
    this.#timer.unref();
  }

  drained(): void {
    this.#room = true;
    this.#drain();
  }

  stop(): void {
    if (this.#ended) return;
    // The ring is the most that can still be to come.
    this.#room = true;
    for (let chunk = 0; chunk < CHUNKS_MAX && this.#hand(); chunk += 1);
    const missed = this.#source.missed() - this.#missedBefore;
    this.abandon();
    this.#sink.end(missed);
  }

  abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    this.#source.tap.tap(null);
    this.#onEnd();
  }

  #tick(): void {
    // Tapping anew empties the ring: what is in it has to be out.
    if (this.#drain() && !this.#ended) this.#follow();
  }

  /** @returns whether the ring was emptied */
  #drain(): boolean {
    for (let chunk = 0; chunk < CHUNKS_MAX && this.#room && !this.#ended; chunk += 1) {
      if (!this.#hand()) return true;
    }
    return false;
  }

  /** One chunk to the sink. @returns whether there was one */
  #hand(): boolean {
    const chunk = Buffer.allocUnsafe(CHUNK_OCTETS);
    const octets = this.#source.tap.readTap(chunk);
    if (octets === 0) return false;
    this.#room = this.#sink.write(chunk.subarray(0, octets));
    return true;
  }

  /** A link gets new ids with every new session: taps what they are now. */
  #follow(): void {
    const { link, snapOctets } = this.#options;
    if (link === null) {
      if (this.#tapped === "") this.#source.tap.tap({ snapOctets });
      this.#tapped = "all";
      return;
    }
    const links = this.#source.linkIds(link).slice(0, LINK_IDS_MAX);
    const wanted = JSON.stringify(links);
    if (wanted === this.#tapped) return;
    this.#source.tap.tap({ snapOctets, links });
    this.#tapped = wanted;
  }
}

type LinkTable = Pick<DataPath, "peers" | "bindings">;

/** Names of all links, alone and with their peer in front. */
export function linkNames({ peers }: LinkTable): string[] {
  const names = peers.flatMap(({ name: peer, bond }) =>
    bond.links.flatMap(({ name }) => (peers.length === 1 ? [name] : [name, `${peer}/${name}`])),
  );
  return [...new Set(names)];
}

/** Link ids that packets of these links carry, in either direction and under any keys. */
export function linkIds({ peers, bindings }: LinkTable, wanted: string): number[] {
  const is = (peer: Peer, name: string) => wanted === name || wanted === `${peer.name}/${name}`;
  const sent = peers.flatMap((peer) =>
    peer.bond.links.filter(({ name }) => is(peer, name)).map(({ transmitId }) => transmitId),
  );
  const received = [...bindings.values()]
    .filter(({ peer, link }) => is(peer, peer.bond.link(link)?.name ?? ""))
    .map(({ id }) => id);
  return [...new Set([...sent, ...received])].filter((id) => id !== 0).sort((a, b) => a - b);
}
