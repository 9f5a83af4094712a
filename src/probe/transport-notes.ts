/** What is known of one transport of a link as a whole: addresses, hop limits, errors, changed octets. */
import { Address6 } from "ip-address";
import { parseAddress } from "../core/prefix.ts";
import type { Transport } from "../core/transport.ts";
import { POSITIONS_MAX, type Report } from "../wire/measure.ts";
import type { DirectionMeasurement, Endpoint, IcmpAnswer } from "./measurement.ts";
import type { Direction } from "./plan.ts";

/** Different ICMP answers that are kept. */
const ICMP_MAX = 32;
const ERRORS_MAX = 32;

type OfDirection = Pick<DirectionMeasurement, "mangled" | "hops">;

export class TransportNotes {
  readonly transport: Transport;
  open = false;
  /** The first step has a train of it. */
  tried = false;
  failure: string | null = null;
  local: Endpoint | null = null;
  observed: Endpoint | null = null;
  /** Of the other side. */
  token = 0;
  readonly errors: Record<string, number> = {};
  readonly #icmp: IcmpAnswer[] = [];
  readonly #mangled: Record<Direction, { count: number; positions: number[] }> = {
    up: { count: 0, positions: [] },
    down: { count: 0, positions: [] },
  };
  readonly #hops: Record<Direction, { min: number; max: number } | null> = { up: null, down: null };

  constructor(transport: Transport) {
    this.transport = transport;
  }

  get icmp(): readonly IcmpAnswer[] {
    return [...this.#icmp];
  }

  /** Whether an address translation stands between; null: unknown. */
  get isTranslated(): boolean | null {
    if (this.local === null || this.observed === null) return null;
    return this.local.address !== this.observed.address;
  }

  get localOctets(): Uint8Array {
    return this.local === null ? new Uint8Array(16) : mappedOctets(this.local.address);
  }

  inDirection(direction: Direction): OfDirection {
    return { mangled: this.#mangled[direction], hops: this.#hops[direction] };
  }

  noteHops(hopLimit: number): void {
    const { min, max } = this.#hops.down ?? { min: hopLimit, max: hopLimit };
    this.#hops.down = { min: Math.min(min, hopLimit), max: Math.max(max, hopLimit) };
  }

  noteMangled(positions: readonly number[]): void {
    const { down } = this.#mangled;
    down.count += 1;
    for (const position of positions) {
      if (down.positions.length < POSITIONS_MAX && !down.positions.includes(position)) {
        down.positions.push(position);
      }
    }
  }

  noteIcmp({ type, code, from }: Omit<IcmpAnswer, "count">, count: number): void {
    const at = this.#icmp.findIndex(
      (one) => one.type === type && one.code === code && one.from === from,
    );
    const known = this.#icmp[at];
    if (known !== undefined) this.#icmp[at] = { ...known, count: known.count + count };
    else if (this.#icmp.length < ICMP_MAX) this.#icmp.push({ type, code, from, count });
  }

  noteError(code: string, count: number): void {
    if (this.errors[code] === undefined && Object.keys(this.errors).length >= ERRORS_MAX) return;
    this.errors[code] = (this.errors[code] ?? 0) + count;
  }

  /** What the other side says of this transport. */
  noteReport(report: Report): void {
    this.#mangled.up = { count: report.mangled, positions: [...report.positions] };
    if (report.hopsMax > 0) this.#hops.up = { min: report.hopsMin, max: report.hopsMax };
    if (report.family === 0) return;
    this.observed = { address: addressText(report.address), port: report.port };
  }
}

/** 16 octets, IPv4 in its IPv4-mapped form (RFC 4291 section 2.5.5.2). */
export function mappedOctets(address: string): Uint8Array {
  const octets = new Uint8Array(16);
  const parsed = parseAddress(address);
  if (parsed === null) return octets;
  if (parsed.family === 4) octets.fill(0xff, 10, 12);
  octets.set(parsed.address, parsed.family === 4 ? 12 : 0);
  return octets;
}

function addressText(octets: Uint8Array): string {
  const mapped = octets.subarray(0, 10).every((octet) => octet === 0) && octets[10] === 0xff;
  if (mapped) return octets.subarray(12, 16).join(".");
  return Address6.fromByteArray([...octets]).correctForm();
}
