/**
 * Inner packets that are too long for the tunnel as it is now: what a router does with them. Who may not have them
 * cut, which is nearly everybody, is told how long they may be (RFC 1191, RFC 8201); others' are cut.
 */
import type { Arena } from "../core/arena.ts";
import { MS, type TimeUs } from "../core/time.ts";
import { TokenBucket } from "../session/bucket.ts";
import { FRAGMENT_MTU_MIN, FRAGMENTS_MAX, fragment, mayFragment } from "../wire/fragment.ts";
import { writeTooBig } from "../wire/icmp.ts";
import { flowHash, ipVersion } from "../wire/inner.ts";
import type { Delivery } from "./delivery.ts";
import type { Peer } from "./peer.ts";

/**
 * Answers a second for each peer, and at once after quiet (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4): whoever has a peer
 * flooded takes none from the others.
 */
const ANSWERS = { perSecond: 200, burst: 50 } as const;
/** A super-packet's segments are of one flow, which one answer is enough for. */
const SAME_FLOW_US = 10 * MS;

export class TooLong {
  /** Packets that were too long and have been dropped, and packets that were cut. */
  dropped = 0;
  cut = 0;
  readonly #arena: Arena;
  readonly #delivery: Delivery;
  readonly #buckets = new WeakMap<Peer, TokenBucket>();
  readonly #pieces = new Int32Array(FRAGMENTS_MAX);
  #flow = -1;
  #flowUs: TimeUs = Number.NEGATIVE_INFINITY;

  constructor(arena: Arena, delivery: Delivery) {
    this.#arena = arena;
    this.#delivery = delivery;
  }

  /**
   * Senders of packets that were let in before the links carried less are told too. Nothing of these is cut: one that is
   * sent again may have arrived.
   */
  watch(peer: Peer): void {
    peer.bond.egress.refuse = (nowUs, slot) => {
      if ((this.#arena.length[slot] as number) > peer.innerMtu) this.#answer(nowUs, peer, slot);
    };
  }

  /** Takes over a packet for `peer` that is longer than `peer.innerMtu`. */
  take(nowUs: TimeUs, peer: Peer, slot: number): void {
    if (this.#cut(nowUs, peer, slot)) return;
    this.dropped += 1;
    this.#answer(nowUs, peer, slot);
    this.#arena.give(slot);
  }

  #cut(nowUs: TimeUs, peer: Peer, slot: number): boolean {
    if (!mayFragment(this.#arena, slot)) return false;
    const mtu = Math.max(peer.innerMtu, FRAGMENT_MTU_MIN);
    const count = fragment(this.#arena, slot, mtu, this.#pieces);
    for (let index = 0; index < count; index += 1) {
      peer.bond.enqueue(nowUs, this.#pieces[index] as number);
    }
    if (count === 0) return false;
    peer.dirty = true;
    this.cut += 1;
    return true;
  }

  #answer(nowUs: TimeUs, peer: Peer, slot: number): void {
    const arena = this.#arena;
    const version = ipVersion(arena, slot);
    if (version === 0 || mayFragment(arena, slot)) return;
    const flow = flowHash(arena, slot, version);
    if (flow === this.#flow && nowUs - this.#flowUs < SAME_FLOW_US) return;
    const bucket = this.#bucketOf(peer);
    if (!bucket.has(nowUs)) return;
    const into = arena.take();
    if (into < 0) return;
    if (!writeTooBig(arena, slot, into, peer.innerMtu)) {
      arena.give(into);
      return;
    }
    bucket.take(nowUs);
    this.#flow = flow;
    this.#flowUs = nowUs;
    this.#delivery.put(into);
  }

  #bucketOf(peer: Peer): TokenBucket {
    const known = this.#buckets.get(peer);
    if (known !== undefined) return known;
    const bucket = new TokenBucket(ANSWERS.perSecond, ANSWERS.burst);
    this.#buckets.set(peer, bucket);
    return bucket;
  }
}
