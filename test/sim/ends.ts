/** How traffic models, witnesses and sessions meet an emulated portal: what they offer it, and what it offers them. */
import type { TimeUs } from "../../src/core/time.ts";

/** A traffic model's end. Slots stay the caller's. */
export interface Endpoint {
  receive(nowUs: TimeUs, slot: number): void;
  /** All packets of a batch have been received: acknowledge what came together. */
  endBatch(nowUs: TimeUs): void;
}

/** Where a traffic model puts its packets: the slot is taken over. */
export interface Outlet {
  send(nowUs: TimeUs, slot: number): void;
}

/** A traffic model that fills the queue whenever there is room. */
export interface Source {
  refill(nowUs: TimeUs): void;
}

/** Sees every inner packet go by; slots stay the caller's. */
export interface Witness {
  /** Out of the TUN: into the queue next. */
  entered(nowUs: TimeUs, slot: number): void;
  /** As a DATA message, preamble first, into a pipe. */
  left(nowUs: TimeUs, slot: number): void;
  /** Into the other side's TUN. */
  emerged(nowUs: TimeUs, slot: number): void;
}

/** What a portal does with the messages that are the session's. */
export interface Keeper {
  /** A message of another type than DATA or FEEDBACK. */
  plain(nowUs: TimeUs, link: number, slot: number): void;
  /** DATA or FEEDBACK of another session than this portal's. */
  foreign(nowUs: TimeUs, link: number, slot: number): void;
  /** The message was sent to an address that is not this portal's any more. */
  misses?(link: number, slot: number): boolean;
  /** DATA of this portal's session has come, and is no copy. */
  heard?(nowUs: TimeUs, link: number, slot: number): void;
}
