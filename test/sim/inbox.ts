/**
 * What the kernel keeps for a portal that does not run: messages in its sockets' buffers, inner packets
 * in its TUN's queue. Both bounded; what comes on top is lost, as in a kernel.
 */
import type { Arena } from "../../src/core/arena.ts";

/** As Linux makes a TUN's queue. */
const TUN_PACKETS_MAX = 500;

export class Inbox {
  /** Messages that the sockets hold. */
  messagesMax = 2048;
  lost = 0;
  readonly #arena: Arena;
  #messages: { readonly link: number; readonly slot: number; readonly trafficClass: number }[] = [];
  #inner: number[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Takes the slot over. */
  message(link: number, slot: number, trafficClass: number): void {
    if (this.#messages.length >= this.messagesMax) this.#lose(slot);
    else this.#messages.push({ link, slot, trafficClass });
  }

  /** Takes the slot over. */
  inner(slot: number): void {
    if (this.#inner.length >= TUN_PACKETS_MAX) this.#lose(slot);
    else this.#inner.push(slot);
  }

  /** Hands everything out, oldest first; the slots are the callee's. */
  empty(
    message: (link: number, slot: number, trafficClass: number) => void,
    inner: (slot: number) => void,
  ): void {
    const [messages, packets] = [this.#messages, this.#inner];
    this.#messages = [];
    this.#inner = [];
    for (const { link, slot, trafficClass } of messages) message(link, slot, trafficClass);
    for (const slot of packets) inner(slot);
  }

  /** The process is gone, and its sockets with it. */
  clear(): void {
    const give = (slot: number) => this.#lose(slot);
    this.empty((_link, slot) => give(slot), give);
  }

  #lose(slot: number): void {
    this.lost += 1;
    this.#arena.give(slot);
  }
}
