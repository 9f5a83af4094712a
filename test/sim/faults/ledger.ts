/**
 * Every inner packet of one direction by a number of its own, from one TUN to the other: that nothing comes
 * out twice, changed, or out of nowhere, and what became of what did not come out. The number stands in the
 * header's identification and time to live, which nobody between the TUNs looks at.
 */

import { URGENT_OCTETS_MAX } from "../../../src/bond/queue/urgency.ts";
import type { Arena } from "../../../src/core/arena.ts";
import { assert } from "../../../src/core/assert.ts";
import type { TimeUs } from "../../../src/core/time.ts";
import { dataOffset, flagsOf } from "../../../src/wire/preamble.ts";

const NUMBERS = 0x100_0000;
const AT = { identification: 4, timeToLive: 8, ports: 20, behindPorts: 24 } as const;
const ROOM = 8192;
/** Packets that are longer are in no hurry, and keep their order within a flow (`bond/queue/urgency.ts`). */
const LONG_OCTETS = URGENT_OCTETS_MAX;

const STATE = { entered: 0, left: 1, emerged: 2 } as const;

export class Ledger {
  /** Packets that went in, left at least once, came out. */
  entered = 0;
  left = 0;
  emerged = 0;
  /** DATA messages that carried one of them. */
  messages = 0;
  /** From TUN to TUN. */
  delayMaxUs = 0;
  /** Told of a long packet that comes behind one of its flow that had gone in later. */
  onOvertaken: (nowUs: TimeUs) => void = () => {};
  /** By destination port: the highest number that came out. */
  readonly #highest = new Map<number, number>();
  readonly #arena: Arena;
  readonly #fail: (what: string) => void;
  #state = new Uint8Array(ROOM);
  #enteredUs = new Float64Array(ROOM);
  #leftUs = new Float64Array(ROOM);
  #print = new Int32Array(ROOM);

  /** @param fail - told of what must not be */
  constructor(arena: Arena, fail: (what: string) => void) {
    this.#arena = arena;
    this.#fail = fail;
  }

  /** Gives the packet its number. */
  enter(nowUs: TimeUs, slot: number): void {
    const number = this.entered;
    assert(number < NUMBERS, "a run has numbers for 16 million packets");
    if (number === this.#state.length) this.#grow();
    this.entered += 1;
    const at = this.#arena.start[slot] as number;
    this.#arena.view.setUint16(at + AT.identification, number >>> 8);
    this.#arena.octets[at + AT.timeToLive] = number & 0xff;
    this.#enteredUs[number] = nowUs;
    this.#print[number] = this.#printOf(slot, at);
  }

  /** A DATA message, preamble first, goes out. */
  leave(nowUs: TimeUs, slot: number): void {
    const offset = dataOffset(flagsOf(this.#arena, slot));
    if ((this.#arena.length[slot] as number) <= offset) return;
    this.messages += 1;
    const number = this.#numberAt((this.#arena.start[slot] as number) + offset);
    if (number >= this.entered) this.#fail("a packet left that had not come in");
    else if (this.#state[number] === STATE.entered) {
      this.left += 1;
      this.#state[number] = STATE.left;
      this.#leftUs[number] = nowUs;
    }
  }

  emerge(nowUs: TimeUs, slot: number): void {
    const at = this.#arena.start[slot] as number;
    const number = this.#numberAt(at);
    if (number >= this.entered || this.#state[number] === STATE.entered) {
      this.#fail("a packet came out that had not left");
    } else if (this.#state[number] === STATE.emerged) {
      this.#fail(`packet ${number} came out twice`);
    } else if (this.#print[number] !== this.#printOf(slot, at)) {
      this.#fail(`packet ${number} came out as another one`);
    } else {
      this.emerged += 1;
      this.#state[number] = STATE.emerged;
      const delayUs = nowUs - (this.#enteredUs[number] as number);
      if (delayUs > this.delayMaxUs) this.delayMaxUs = delayUs;
      if ((this.#arena.length[slot] as number) > LONG_OCTETS) this.#noteOrder(nowUs, at, number);
    }
  }

  /** Of the packets that left and never came out, how many `asked` (told when each first left) says yes to. */
  lost(asked: (leftUs: TimeUs) => boolean): number {
    let count = 0;
    for (let number = 0; number < this.entered; number += 1) {
      if (this.#state[number] === STATE.left && asked(this.#leftUs[number] as number)) count += 1;
    }
    return count;
  }

  #noteOrder(nowUs: TimeUs, at: number, number: number): void {
    const port = this.#arena.view.getUint16(at + AT.ports + 2);
    if (number < (this.#highest.get(port) ?? -1)) this.onOvertaken(nowUs);
    else this.#highest.set(port, number);
  }

  #numberAt(at: number): number {
    const { view, octets } = this.#arena;
    return (view.getUint16(at + AT.identification) << 8) | (octets[at + AT.timeToLive] as number);
  }

  /** Of the length, the ports and what follows them, which are no two neighbours' alike. */
  #printOf(slot: number, at: number): number {
    const { view, length } = this.#arena;
    const ports = view.getUint32(at + AT.ports);
    const print = Math.imul(ports ^ view.getUint32(at + AT.behindPorts), 0x0100_0193);
    return print ^ view.getUint32(at + AT.behindPorts + 4) ^ (length[slot] as number);
  }

  #grow(): void {
    const room = 2 * this.#state.length;
    const wider = <T extends Uint8Array | Float64Array | Int32Array>(from: T, into: T): T => {
      into.set(from);
      return into;
    };
    this.#state = wider(this.#state, new Uint8Array(room));
    this.#enteredUs = wider(this.#enteredUs, new Float64Array(room));
    this.#leftUs = wider(this.#leftUs, new Float64Array(room));
    this.#print = wider(this.#print, new Int32Array(room));
  }
}
