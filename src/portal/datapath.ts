/**
 * The loop: batches from the TUN into bonds, batches from sockets through bonds into the TUN, what
 * bonds have stamped out to sockets, one timer for all deadlines. Everything rare (handshakes,
 * addresses, logs) is the owner's.
 *
 * One wake-up: take what is ready, a clock reading a batch; flush the peers that were touched; look
 * again without waiting a few times; set the timer.
 */
import { type Arena, PATH_OCTETS } from "../core/arena.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";
import {
  type Engine,
  type Handle,
  INFO_SOURCE_DIFFERS,
  READY,
  TIMER_HANDLE,
} from "../native/native.ts";
import { HELLO_SUBTYPE } from "../wire/hello.ts";
import { TYPE, typeOf } from "../wire/preamble.ts";
import { Controls } from "./controls.ts";
import { Delivery } from "./delivery.ts";
import type { Ladders } from "./ladders.ts";
import { Outgoing } from "./outgoing.ts";
import type { Binding, DataPathOwner } from "./owner.ts";
import { PathSizes } from "./path-sizes.ts";
import { type Peer, SAMPLE_INTERVAL_US } from "./peer.ts";
import { TooLong } from "./too-long.ts";

/** Slots a call may fill. A 64 KiB super-packet is 45 segments; a system call takes 128 messages. */
const TUN_BATCH = 256;
const SOCKET_BATCH = 256;
/** Looks at the descriptors before the event loop gets its turn. */
const ROUNDS_MAX = 16;
/** Calls for one descriptor before others get their turn, and how long before the event loop does. */
const ALONE = { callsMax: 4, turnUs: 10 * MS } as const;
/** The same while something else in this process has to get on: a turn costs some 20 us. */
const SHARED = { callsMax: 1, turnUs: 1 * MS } as const;
/**
 * Slots kept for reception. Of the others no peer's queue may hold more than are still free, so that
 * however many clients are flooded, each finds room (Choudhury and Hahne's dynamic threshold).
 */
const SLOTS_RESERVED = 1024;
/**
 * A wake-up that is later than this after its timer comes out of a stall: what came meanwhile is read before anything is
 * judged to be silent.
 */
const STALL_US = 50 * MS;
/** Descriptors watched at the most: the length of the ready list. */
const READY_MAX = 64;

/** Drops that are the data path's own. */
export interface DataPathDrops {
  /** From the TUN, with no peer to go to. */
  noRoute: number;
  /** From a peer, with an inner source that is not his. */
  sourceDenied: number;
  /** From the TUN while slots were short. */
  noSlots: number;
  /** DATA whose link is not attached. */
  unbound: number;
}

export class DataPath {
  readonly engine: Engine;
  readonly arena: Arena;
  readonly bindings = new Map<number, Binding>();
  readonly peers: Peer[] = [];
  readonly drops: DataPathDrops = { noRoute: 0, sourceDenied: 0, noSlots: 0, unbound: 0 };
  readonly #owner: DataPathOwner;
  readonly outgoing: Outgoing;
  #manners: typeof ALONE | typeof SHARED = ALONE;
  /** Set by the owner before the start. */
  ladders!: Ladders;
  readonly controls: Controls;
  readonly sizes: PathSizes;
  readonly tooLong: TooLong;
  readonly #ready = new Int32Array(2 * READY_MAX);
  readonly #tunIn = new Int32Array(TUN_BATCH);
  #tunInCount = 0;
  readonly #received = new Int32Array(SOCKET_BATCH);
  #receivedCount = 0;
  readonly #delivery: Delivery;
  #tun: Handle = -1;
  #onTunGone: () => void = () => {};
  /** Events of a batch are being served. */
  #serving = false;
  #sampleUs: TimeUs = 0;
  /** What the timer is set to. */
  #dueUs: TimeUs = NEVER;
  #lastBinding: Binding | undefined;

  constructor(engine: Engine, arena: Arena, owner: DataPathOwner) {
    this.engine = engine;
    this.arena = arena;
    this.#owner = owner;
    this.#delivery = new Delivery(engine, arena, owner, this.drops);
    this.outgoing = new Outgoing(engine, arena, owner);
    this.controls = new Controls(arena, (binding, slot) => this.noteControl(binding, slot));
    this.controls.on(HELLO_SUBTYPE, (...message) => this.#takeHello(...message));
    this.sizes = new PathSizes(this, owner);
    this.tooLong = new TooLong(arena, this.#delivery);
  }

  /** `onTunGone`: somebody deleted the device; nothing can be forwarded any more. */
  start(tun: Handle, onTunGone: () => void): void {
    this.#tun = tun;
    this.#delivery.tun = tun;
    this.#onTunGone = onTunGone;
    this.engine.watch(this.#ready, (count) => this.#onReady(count));
    this.wake();
  }

  /** Gives the event loop its turn more often: a capture has to be written out beside the traffic. */
  set shareLoop(on: boolean) {
    this.#manners = on ? SHARED : ALONE;
  }

  /** Something was put in, from outside a wake-up perhaps: flush it and set the timer anew. */
  wake(): void {
    // What is due then may close a socket whose event is still to be served.
    if (this.#serving) return;
    const nowUs = this.engine.nowUs();
    this.#finish(nowUs);
    this.#setTimer(nowUs);
  }

  bind(binding: Binding): void {
    this.bindings.set(binding.context, binding);
  }

  unbind(context: number): void {
    this.bindings.delete(context);
    this.#lastBinding = undefined;
  }

  bindingOf(context: number): Binding | undefined {
    const last = this.#lastBinding;
    if (last !== undefined && last.context === context) return last;
    const binding = this.bindings.get(context);
    if (binding !== undefined) this.#lastBinding = binding;
    return binding;
  }

  #onReady(first: number): void {
    let count = first;
    const startUs = this.engine.nowUs();
    const untilUs = startUs + this.#manners.turnUs;
    let stalled = startUs - this.#dueUs > STALL_US;
    for (let round = 0; count > 0 && round < ROUNDS_MAX; round += 1) {
      this.#serving = true;
      for (let index = 0; index < count; index += 1) {
        this.#serve(this.#ready[2 * index] as number, this.#ready[2 * index + 1] as number);
      }
      this.#serving = false;
      if (stalled) {
        stalled = round < ROUNDS_MAX - 2 && this.engine.nowUs() - startUs < STALL_US;
        count = this.engine.watchNow();
        if (count > 0) continue;
      }
      const nowUs = this.engine.nowUs();
      this.#finish(nowUs);
      if (nowUs >= untilUs) break;
      count = this.engine.watchNow();
    }
    this.#setTimer(this.engine.nowUs());
  }

  #serve(handle: Handle, events: number): void {
    if (handle === TIMER_HANDLE) return;
    if (handle === this.#tun) {
      if ((events & READY.error) !== 0) this.#loseTun();
      else this.#readTun();
      return;
    }
    if ((events & READY.error) !== 0 && !this.#owner.onSocketError(handle)) return;
    if ((events & READY.writable) !== 0) {
      this.#owner.onWritable(handle);
      this.outgoing.unblock(handle, this.peers);
    }
    if ((events & READY.readable) === 0 || this.#owner.accept(handle)) return;
    this.#receive(handle);
  }

  /** A deleted device is readable for ever and holds nothing: close it, or the loop spins. */
  #loseTun(): void {
    this.engine.close(this.#tun);
    this.#tun = -1;
    this.#delivery.tun = -1;
    this.#onTunGone();
  }

  #readTun(): void {
    for (let call = 0; call < this.#manners.callsMax; call += 1) {
      // A full batch takes a millisecond: an older reading would make round trips look shorter.
      const nowUs = this.engine.nowUs();
      this.#tunInCount = this.arena.fill(this.#tunIn, this.#tunInCount, TUN_BATCH);
      const capacity = this.#tunInCount;
      const count = this.engine.readTun(this.#tun, this.#tunIn, capacity);
      for (let index = 0; index < count; index += 1) {
        this.#route(nowUs, this.#tunIn[index] as number);
      }
      this.#tunIn.copyWithin(0, count, capacity);
      this.#tunInCount = capacity - count;
      // Super-packets fill links' outboxes: let them leave before the next ones come.
      this.#flushDirty(nowUs);
      if (count < capacity) return;
    }
  }

  #route(nowUs: TimeUs, slot: number): void {
    const peer = this.#owner.peerOf(slot);
    if (peer === undefined) {
      this.drops.noRoute += 1;
      this.arena.give(slot);
    } else if (peer.bond.egress.queue.packets >= this.arena.freeCount - SLOTS_RESERVED) {
      this.drops.noSlots += 1;
      this.arena.give(slot);
    } else if ((this.arena.length[slot] as number) > peer.innerMtu) {
      this.tooLong.take(nowUs, peer, slot);
    } else {
      peer.dirty = true;
      peer.bond.enqueue(nowUs, slot);
    }
  }

  #receive(handle: Handle): void {
    for (let call = 0; call < this.#manners.callsMax; call += 1) {
      const nowUs = this.engine.nowUs();
      this.#receivedCount = this.arena.fill(this.#received, this.#receivedCount, SOCKET_BATCH);
      const capacity = this.#receivedCount;
      const count = this.engine.receive(handle, this.#received, capacity);
      for (let index = 0; index < count; index += 1) {
        this.#take(nowUs, handle, this.#received[index] as number);
      }
      this.#received.copyWithin(0, count, capacity);
      this.#receivedCount = capacity - count;
      this.#deliverDirty();
      if (count < capacity) return;
    }
  }

  /** One authenticated message; its slot goes to the bond or back. */
  #take(nowUs: TimeUs, handle: Handle, slot: number): void {
    const type = typeOf(this.arena, slot);
    const binding = this.bindingOf(this.arena.context[slot] as number);
    if (type === TYPE.data) {
      if (binding !== undefined && this.#takeData(nowUs, binding, slot)) return;
    } else if (type === TYPE.feedback && binding !== undefined) {
      this.#takeFeedback(nowUs, binding, slot);
    } else if (binding === undefined || !this.controls.take(nowUs, type, binding, slot, handle)) {
      this.#owner.onMessage(nowUs, handle, slot);
    }
    this.arena.give(slot);
  }

  /** True: the bond has taken the slot over. */
  #takeData(nowUs: TimeUs, binding: Binding, slot: number): boolean {
    const { peer } = binding;
    const link = peer.bond.link(binding.link);
    if (link === undefined) {
      this.drops.unbound += 1;
      return false;
    }
    if (((this.arena.info[slot] as number) & INFO_SOURCE_DIFFERS) !== 0) {
      this.#sourceDiffers(nowUs, binding, link, slot);
    }
    peer.dirty = true;
    peer.bond.receive(nowUs, link, slot);
    return true;
  }

  #deliverDirty(): void {
    for (let index = 0; index < this.peers.length; index += 1) {
      const peer = this.peers[index] as Peer;
      if (peer.dirty) this.#delivery.deliver(peer);
    }
    this.#delivery.write();
  }

  #takeFeedback(nowUs: TimeUs, binding: Binding, slot: number): void {
    const { peer } = binding;
    const link = peer.bond.link(binding.link);
    if (link === undefined) return;
    peer.dirty = true;
    this.noteControl(binding, slot);
    peer.bond.receiveFeedback(nowUs, link, slot);
  }

  #takeHello(nowUs: TimeUs, binding: Binding, slot: number, handle: Handle): void {
    const route = this.#owner.routeOf(nowUs, handle, slot);
    if (route !== undefined) this.ladders.receive(nowUs, binding, slot, route);
  }

  /** Remembers how far the peer's FEEDBACK and CONTROL numbers have got, for the next keys. */
  noteControl(binding: Binding, slot: number): void {
    const heard = binding.peer.controlHeard;
    const seq = this.arena.seq[slot] as number;
    if (seq > (heard[binding.link] as number)) heard[binding.link] = seq;
  }

  /** Only a packet that is newer than all before it may move a link: a late one came the old way. */
  #sourceDiffers(nowUs: TimeUs, binding: Binding, link: Link, slot: number): void {
    if ((this.arena.seq[slot] as number) <= link.receipts.largest) return;
    const at = slot * PATH_OCTETS;
    const path = this.arena.paths.slice(at, at + PATH_OCTETS);
    this.#owner.onSourceDiffers(nowUs, binding, slot, path);
  }

  #finish(nowUs: TimeUs): void {
    this.#owner.tick(nowUs);
    for (let index = 0; index < this.peers.length; index += 1) {
      const peer = this.peers[index] as Peer;
      if (peer.touched || peer.dirty || peer.deadlineUs <= nowUs) this.#visit(nowUs, peer);
    }
    this.#delivery.write();
    if (nowUs < this.#sampleUs) return;
    this.#sampleUs = nowUs + SAMPLE_INTERVAL_US;
    for (const peer of this.peers) peer.sample(nowUs);
  }

  #visit(nowUs: TimeUs, peer: Peer): void {
    peer.bond.tick(nowUs);
    this.ladders.drive(nowUs, peer);
    this.sizes.drive(nowUs, peer);
    this.#delivery.deliver(peer);
    this.outgoing.flush(nowUs, peer);
    peer.touched = false;
    const ladderUs = Math.min(this.ladders.deadlineUs(peer), this.sizes.deadlineUs(nowUs, peer));
    peer.deadlineUs = Math.min(peer.bond.deadlineUs(nowUs), ladderUs, peer.retryUs);
    this.#owner.visited(peer);
  }

  #flushDirty(nowUs: TimeUs): void {
    for (let index = 0; index < this.peers.length; index += 1) {
      const peer = this.peers[index] as Peer;
      if (peer.dirty) this.outgoing.flush(nowUs, peer);
    }
  }

  #setTimer(nowUs: TimeUs): void {
    let deadlineUs = Math.min(this.#owner.deadlineUs(), this.#sampleUs, nowUs + SECOND);
    for (let index = 0; index < this.peers.length; index += 1) {
      deadlineUs = Math.min(deadlineUs, (this.peers[index] as Peer).deadlineUs);
    }
    this.#dueUs = Math.max(deadlineUs, nowUs);
    this.engine.setTimer(this.#dueUs);
  }
}
