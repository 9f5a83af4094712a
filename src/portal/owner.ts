/** What the data path asks of the portal that owns it, and what it knows of a link's receive context. */
import type { Path } from "../core/path.ts";
import type { TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import type { Link } from "../link/link.ts";
import type { Handle, SendFailure } from "../native/native.ts";
import type { Route, Transmits } from "./carrier.ts";
import type { Peer } from "./peer.ts";

/** A receive context that belongs to a link. */
export interface Binding {
  readonly id: number;
  readonly context: number;
  readonly transmits: Transmits;
  readonly peer: Peer;
  readonly link: number;
}

export interface DataPathOwner {
  /** Whose packet this is that came from the TUN; undefined: nobody's, drop it. */
  peerOf(slot: number): Peer | undefined;
  /** This peer may send this inner packet. */
  admits(peer: Peer, slot: number): boolean;
  /** Any message but DATA and a link's FEEDBACK. The slot is given back afterwards. */
  onMessage(nowUs: TimeUs, socket: Handle, slot: number): void;
  onSourceDiffers(nowUs: TimeUs, binding: Binding, slot: number, path: Path): void;
  /** False: the socket is closed now. */
  onSocketError(socket: Handle): boolean;
  /** This machine dropped packets of a link instead of sending them. */
  onSendFailure(peer: Peer, link: Link, transport: Transport, failure: SendFailure): void;
  /** A socket can be written to: it has room again, or its connection stands. */
  onWritable(socket: Handle): void;
  /** Not messages make it readable, but a connection to accept, say; false: messages do. */
  accept(socket: Handle): boolean;
  /** Which way a message in a slot came, for the answer; undefined: a socket that is gone. */
  routeOf(nowUs: TimeUs, socket: Handle, slot: number): Route | undefined;
  /** A peer's bond has just been driven. */
  visited(peer: Peer): void;
  /** Once a wake-up: sessions, retries, whatever is due. */
  tick(nowUs: TimeUs): void;
  deadlineUs(): TimeUs;
}
