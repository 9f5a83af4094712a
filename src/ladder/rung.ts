/**
 * One transport of a link as its ladder knows it: whether it may be sent by, how much, and what is known
 * of the HELLOs in both directions.
 */
import { SECOND, type TimeUs } from "../core/time.ts";
import { type Transport, transportNumber } from "../core/transport.ts";
import { HELLO_OCTETS, type Hello, type HelloSeen } from "../wire/hello.ts";
import { Hearing } from "./hearing.ts";
import { Retry } from "./retry.ts";
import { SentHellos } from "./sent.ts";

/**
 * The Remote Portal sends by raw only while it hears raw. A Linux NAT that has lost its mapping takes a packet
 * from outside for a connection of the router itself, and then drops all that the client sends by that protocol,
 * for as long as the packets from outside go on and 600 s longer.
 */
export const RAW_HEARD_WITHIN_US = 30 * SECOND;
/** RFC 9000 section 8: octets sent to an address that is not proven, in relation to those heard from it. */
const AMPLIFICATION_MAX = 3;

export class Rung {
  readonly transport: Transport;
  /** As on the wire. */
  readonly number: number;
  /** Place in the order of preference, 0 the best. */
  readonly rank: number;
  usable = false;
  /** The peer is where we send to: it has echoed our nonce, or the session has made sure. */
  proven = false;
  nonce = 0;
  readonly hearing = new Hearing();
  readonly sent = new SentHellos();
  readonly retry = new Retry();
  readonly #remote: boolean;
  /** It failed at this time: Remote sends nothing by raw until the peer is heard by it again. */
  #stoppedUs: TimeUs = Number.NEGATIVE_INFINITY;
  #heardOctets = 0;
  #sentOctets = 0;

  constructor(transport: Transport, rank: number, remote: boolean) {
    this.transport = transport;
    this.number = transportNumber(transport);
    this.rank = rank;
    this.#remote = remote;
  }

  /** A socket or a path, new or another: nothing that was known of the old one holds. */
  open(nonce: number): void {
    this.usable = true;
    this.nonce = nonce;
    // The client chose the address that it sends to. A connection only proves that somebody is there.
    this.proven = !this.#remote;
    this.#heardOctets = 0;
    this.#sentOctets = 0;
    this.hearing.lastUs = Number.NEGATIVE_INFINITY;
    this.sent.forget();
  }

  close(): void {
    this.usable = false;
    this.proven = false;
  }

  /** The session has had an answer from the peer by it. */
  attached(nowUs: TimeUs): void {
    this.proven = true;
    this.hearing.lastUs = nowUs;
  }

  /** It does not carry what we send. Remote: not a word by raw until the peer speaks first. */
  stop(nowUs: TimeUs): void {
    this.#stoppedUs = nowUs;
  }

  /** Something may be sent by it now, as far as the octets heard from there allow. */
  maySpeak(nowUs: TimeUs): boolean {
    return this.usable && nowUs < this.silentFromUs;
  }

  /** A message of `octets` may be sent by it now. */
  maySend(nowUs: TimeUs, octets: number = HELLO_OCTETS): boolean {
    if (!this.maySpeak(nowUs)) return false;
    return this.proven || this.#sentOctets + octets <= AMPLIFICATION_MAX * this.#heardOctets;
  }

  /** DATA may be sent by it now. */
  mayCarry(nowUs: TimeUs): boolean {
    return this.proven && this.maySpeak(nowUs);
  }

  /** From when on nothing may be sent by it unless the peer is heard; Infinity where that is no matter. */
  get silentFromUs(): TimeUs {
    if (!this.#remote || this.transport !== "raw") return Number.POSITIVE_INFINITY;
    const { lastUs } = this.hearing;
    return lastUs > this.#stoppedUs ? lastUs + RAW_HEARD_WITHIN_US : Number.NEGATIVE_INFINITY;
  }

  /** A HELLO leaves now; returns its number. */
  record(nowUs: TimeUs, octets: number, full: boolean, asked: boolean): number {
    this.#sentOctets += octets;
    return this.sent.record(nowUs, full, asked);
  }

  /** A HELLO of the peer came by it. */
  hear(nowUs: TimeUs, hello: Hello): void {
    this.#heardOctets += hello.octets;
    this.hearing.heard(nowUs, hello.number, hello.nonce);
  }

  /**
   * What the peer has seen of ours by it.
   *
   * @param here - it says so from where we send to. Elsewhere it proves nothing: somebody who has played one HELLO
   *   from his own address passes our nonce on to the peer, who is asked by the other transports as well
   * @returns as SentHellos.report
   */
  learn(seen: HelloSeen, here: boolean): TimeUs {
    if (!this.usable || seen.echo !== this.nonce) return -1;
    if (here) this.proven = true;
    const askedUs = this.sent.report(seen);
    if (this.sent.lastSeenUs > this.retry.failedUs) this.retry.seenAgain();
    return askedUs;
  }
}
