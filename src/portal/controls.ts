/**
 * Who takes a link's CONTROL messages, by their first octet. Those that nobody has asked for are the
 * session's: close, rekey, attached and ping.
 */
import type { Arena } from "../core/arena.ts";
import type { TimeUs } from "../core/time.ts";
import type { Handle } from "../native/native.ts";
import { PREAMBLE_OCTETS, TYPE } from "../wire/preamble.ts";
import type { Binding } from "./owner.ts";

/** Takes a genuine message of a link, from the preamble on; the slot is given back afterwards. */
export type ControlHandler = (
  nowUs: TimeUs,
  binding: Binding,
  slot: number,
  socket: Handle,
) => void;

export class Controls {
  readonly #arena: Arena;
  readonly #note: (binding: Binding, slot: number) => void;
  readonly #handlers = new Map<number, ControlHandler>();

  /** `note` is told of each message that is taken. */
  constructor(arena: Arena, note: (binding: Binding, slot: number) => void) {
    this.#arena = arena;
    this.#note = note;
  }

  /** `subtype`: first octet of the body. */
  on(subtype: number, handler: ControlHandler): void {
    this.#handlers.set(subtype, handler);
  }

  /** False: the message is the session's. */
  take(nowUs: TimeUs, type: number, binding: Binding, slot: number, socket: Handle): boolean {
    if (type !== TYPE.control) return false;
    const { octets, start, length } = this.#arena;
    if ((length[slot] as number) <= PREAMBLE_OCTETS) return false;
    const subtype = octets[(start[slot] as number) + PREAMBLE_OCTETS] as number;
    const handler = this.#handlers.get(subtype);
    if (handler === undefined) return false;
    this.#note(binding, slot);
    handler(nowUs, binding, slot, socket);
    return true;
  }
}
