/** What is known of the path that one transport of a link comes by, and whether its owner receives there. */
import { PATH_AT, type Path, samePath } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { POSITIONS_MAX } from "../wire/measure.ts";

/** Octets sent to an address that has not answered, per octet heard from it: RFC 9000 section 8.1. */
const AMPLIFICATION_MAX = 3;
/** A message's preamble and tag; the outer headers are on the safe side. */
const MESSAGE_OCTETS = 24;

export class HeardPath {
  /** Null: nothing was heard by this transport. */
  path: Path | null = null;
  /** 32 bits that only who receives along the path can know; 0: none yet. */
  token = 0;
  /** The token came back. */
  validated = false;
  /** False: the path is derived from another transport's. */
  wasHeard = false;
  sentOctets = 0;
  hopsMin = 0;
  hopsMax = 0;
  mangledCount = 0;
  readonly positions: number[] = [];
  #heardOctets = 0;

  /** A message came along `path`; a new path has a new token and is not validated. */
  moveTo(path: Path, random: RandomOctets): void {
    this.wasHeard = true;
    if (this.path !== null && samePath(this.path, path)) return;
    this.#start(path.slice(), random);
  }

  /** A path that nothing was heard by. */
  guess(path: Path, random: RandomOctets): void {
    if (this.path === null) this.#start(path, random);
  }

  note(octets: number, hopLimit: number): void {
    this.#heardOctets += octets + MESSAGE_OCTETS;
    if (hopLimit === 0) return;
    this.hopsMin = this.hopsMin === 0 ? hopLimit : Math.min(this.hopsMin, hopLimit);
    this.hopsMax = Math.max(this.hopsMax, hopLimit);
  }

  proves(token: number): void {
    if (token !== 0 && token === this.token) this.validated = true;
  }

  mangled(positions: readonly number[]): void {
    this.mangledCount += 1;
    for (const position of positions) {
      if (this.positions.length >= POSITIONS_MAX) return;
      if (!this.positions.includes(position)) this.positions.push(position);
    }
  }

  mayReceive(octets: number): boolean {
    const wanted = this.sentOctets + octets + MESSAGE_OCTETS;
    return this.validated || wanted <= AMPLIFICATION_MAX * this.#heardOctets;
  }

  sameHost(other: HeardPath): boolean {
    if (this.path === null || other.path === null) return false;
    const end = PATH_AT.remote + 16;
    const same = this.path[PATH_AT.family] === other.path[PATH_AT.family];
    const host = this.path.subarray(PATH_AT.remote, end);
    return same && Buffer.compare(host, other.path.subarray(PATH_AT.remote, end)) === 0;
  }

  #start(path: Path, random: RandomOctets): void {
    this.path = path;
    this.token = Buffer.from(random(4)).readUInt32BE() || 1;
    this.validated = false;
    this.sentOctets = 0;
    this.#heardOctets = 0;
  }
}

/** The same two hosts by another transport. */
export function derivedPath(path: Path, transport: number, port: number): Path {
  const derived = path.slice();
  derived[PATH_AT.transport] = transport;
  derived[PATH_AT.port] = port >>> 8;
  derived[PATH_AT.port + 1] = port & 0xff;
  return derived;
}
