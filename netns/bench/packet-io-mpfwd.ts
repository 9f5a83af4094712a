/**
 * Packet I/O by this project's addon. `plain`: octets as they are, one system call a packet out and
 * batches in. `sealed`: batches both ways, a preamble and an HMAC-SHA256 tag on every packet, as the
 * portals send DATA; what the hash costs is measured beside it.
 */
import { Arena, SLOT_HEADROOM, SLOT_SIZE } from "../../src/core/arena.ts";
import { type Engine, type Handle, loadNative, SUITE } from "../../src/native/native.ts";
import { PREAMBLE_OCTETS, pushPreamble, TYPE } from "../../src/wire/preamble.ts";
import {
  BATCH,
  type Backend,
  BUFFER_OCTETS,
  everyTurn,
  IP_HEADER_OCTETS,
  IP_PROTOCOL,
  type Meter,
  type Setup,
} from "./packet-io-backend.ts";

const SLOTS = 1024;
const RECEIVE_BATCH = 256;
/** Batches received before the event loop gets its turn. */
const ROUNDS_MAX = 16;
const READY_MAX = 64;
const LINK_ID = 1;
const TAG_OCTETS = 10;
const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const KEYS = { suite: SUITE.hmacSha256, dataTag: TAG_OCTETS, linkNumber: 1, data: KEY };
const HMAC_LONG_OCTETS = 16_384;
/** A run is a millisecond or less: short enough to be left alone now and then. */
const HMAC_CALLS = 100;
const HMAC_RUNS = 100;

const native = loadNative();

export const plain: Backend = {
  async send(setup, meter, endMs) {
    const { arena, engine, socket } = opened(setup, setup.remote.address);
    const [slot = 0] = slotsOf(arena, 1);
    arena.write(slot, new Uint8Array(setup.octets - IP_HEADER_OCTETS).fill(TYPE.data << 4));
    await everyTurn(endMs, () => {
      let sent = 0;
      for (let count = 0; count < BATCH; count += 1) {
        if (engine.sendPlain(socket, slot, null)) sent += 1;
      }
      meter.add(sent);
    });
  },

  receive(setup, meter) {
    const at = opened(setup, null);
    const octets = setup.octets - IP_HEADER_OCTETS;
    take(at, octets, meter, (batch) => at.engine.receivePlain(at.socket, batch, RECEIVE_BATCH));
  },
};

export const sealed: Backend = {
  async send(setup, meter, endMs) {
    const { arena, engine, socket } = opened(setup, setup.remote.address);
    const transmit = engine.addTransmit(KEYS);
    engine.setPath(transmit, socket, null);
    const batch = slotsOf(arena, BATCH);
    const octets = setup.octets - IP_HEADER_OCTETS - PREAMBLE_OCTETS - TAG_OCTETS;
    let seq = 0;
    await everyTurn(endMs, () => {
      for (let index = 0; index < BATCH; index += 1) {
        const slot = batch[index] as number;
        arena.start[slot] = slot * SLOT_SIZE + SLOT_HEADROOM;
        arena.length[slot] = octets;
        pushPreamble(arena, slot, TYPE.data, 0, LINK_ID, seq + index);
      }
      const sent = engine.send(transmit, batch, BATCH);
      seq += sent;
      meter.add(sent);
    });
    meter.hmacSeconds = hmacSeconds(setup);
  },

  receive(setup, meter) {
    const at = opened(setup, null);
    at.engine.addReceive(LINK_ID, { ...KEYS, context: 1, transmits: [0, 0, 0] });
    meter.hmacSeconds = hmacSeconds(setup);
    const octets = setup.octets - IP_HEADER_OCTETS - TAG_OCTETS;
    take(at, octets, meter, (batch) => at.engine.receive(at.socket, batch, RECEIVE_BATCH));
  },
};

interface Opened {
  readonly arena: Arena;
  readonly engine: Engine;
  readonly socket: Handle;
}

function opened(setup: Setup, remote: string | null): Opened {
  const arena = new Arena(SLOTS);
  const engine = native.createEngine(arena.memory, SLOTS);
  const { address: source } = setup.local;
  const options = { protocol: IP_PROTOCOL, source, bufferBytes: BUFFER_OCTETS };
  const socket = engine.openSocket({ kind: "raw", family: 4, ...options });
  if (remote !== null) engine.connectSocket(socket, remote, 0);
  return { arena, engine, socket };
}

function slotsOf(arena: Arena, count: number): Int32Array {
  const batch = new Int32Array(count);
  arena.fill(batch, 0, count);
  return batch;
}

/** Counts packets of `octets` and uses their slots again. */
function take(
  { arena, engine }: Opened,
  octets: number,
  meter: Meter,
  receive: (batch: Int32Array) => number,
): void {
  const batch = slotsOf(arena, RECEIVE_BATCH);
  engine.watch(new Int32Array(2 * READY_MAX), () => {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const count = receive(batch);
      let expected = 0;
      for (let index = 0; index < count; index += 1) {
        if (arena.length[batch[index] as number] === octets) expected += 1;
      }
      if (count === 0) break;
      meter.add(expected);
    }
  });
}

/**
 * Hashing the octets of one packet, without the call and the key's schedule: the slope between a long
 * message and none, since a short one's hash is lost in what the call costs.
 */
function hmacSeconds(setup: Setup): number {
  const long = hmacRun(new Uint8Array(HMAC_LONG_OCTETS));
  const perOctet = (long - hmacRun(new Uint8Array(0))) / HMAC_LONG_OCTETS;
  return perOctet * (setup.octets - IP_HEADER_OCTETS - TAG_OCTETS);
}

/** Of some runs the best, since nothing makes a run too short. */
function hmacRun(message: Uint8Array): number {
  let bestMs = Number.POSITIVE_INFINITY;
  for (let run = 0; run < HMAC_RUNS; run += 1) {
    const startMs = performance.now();
    for (let count = 0; count < HMAC_CALLS; count += 1) native.hmac(KEY, message, TAG_OCTETS);
    bestMs = Math.min(bestMs, performance.now() - startMs);
  }
  return bestMs / 1000 / HMAC_CALLS;
}
