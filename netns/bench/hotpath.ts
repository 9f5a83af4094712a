/**
 * What a packet costs in JavaScript, without the kernel: nanoseconds for each step of its way and for
 * the whole way, and octets allocated for it. Times are medians of rounds; the rounds of all steps are
 * interleaved, so that a machine whose speed drifts slows them alike.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Bond } from "../../src/bond/bond.ts";
import { OrderStamp } from "../../src/bond/order.ts";
import { IngressQueue } from "../../src/bond/queue.ts";
import { Scheduler } from "../../src/bond/scheduler.ts";
import { DEFAULT_CONTROLLER, makeController } from "../../src/cc/controllers.ts";
import { Arena } from "../../src/core/arena.ts";
import { assert } from "../../src/core/assert.ts";
import { Flight } from "../../src/link/flight.ts";
import { Link } from "../../src/link/link.ts";
import { Receipts } from "../../src/link/receipts.ts";
import { flowHash } from "../../src/wire/inner.ts";
import { pushOrderedPreamble, pushPreamble, TYPE, typeOf } from "../../src/wire/preamble.ts";

const SLOTS = 16_384;
const BATCH = 128;
/** What the other side looks at: a preamble and the headers of an inner packet, or a short FEEDBACK. */
const COPIED_OCTETS = 48;
/** Windows have opened by then; nearly all packets must have been carried. */
const WARM_BATCHES = 2_000;
const CARRIED_MIN = 0.98;
const MSS = 1500;
const BYTES = 1400;
/** Packets a round; rounds are some milliseconds each. */
const PACKETS = 64 * BATCH;
const ROUNDS = 40;
const ROUNDS_WARM = 10;
/** Packets over which allocation is measured. */
const ALLOCATION_PACKETS = 400 * BATCH;

export interface HotpathRow {
  readonly step: string;
  /** Nanoseconds a packet: median, minimum, maximum of the rounds. */
  readonly ns: number;
  readonly nsMin: number;
  readonly nsMax: number;
  /** Octets of heap a packet that are left after a collection, and that were used before it. */
  readonly lastingOctets: number;
  readonly passingOctets: number;
}

export interface Step {
  readonly name: string;
  /** Works on `packets` packets, a multiple of BATCH. */
  readonly run: (packets: number) => void;
}

/** What every packet passes, with a state of its own each time. */
export function hotpathSteps(): Step[] {
  return [
    queueStep(),
    hashStep(),
    preambleStep(),
    orderStep(),
    flightStep(),
    receiptsStep(),
    schedulerStep(2),
    wholeStep(1),
    wholeStep(2),
    wholeStep(4),
  ];
}

export function measureHotpath(): HotpathRow[] {
  const steps = hotpathSteps();
  const times = steps.map((): number[] => []);
  for (let round = 0; round < ROUNDS_WARM + ROUNDS; round += 1) {
    for (const [index, step] of steps.entries()) {
      const startNs = process.hrtime.bigint();
      step.run(PACKETS);
      const ns = Number(process.hrtime.bigint() - startNs) / PACKETS;
      if (round >= ROUNDS_WARM) times[index]?.push(ns);
    }
  }
  return steps.map((step, index) => row(step, times[index] ?? []));
}

function row(step: Step, times: number[]): HotpathRow {
  const sorted = [...times].sort((a, b) => a - b);
  const { lasting, passing } = allocation(step);
  return {
    step: step.name,
    ns: sorted[sorted.length >> 1] ?? 0,
    nsMin: sorted[0] ?? 0,
    nsMax: sorted.at(-1) ?? 0,
    lastingOctets: lasting,
    passingOctets: passing,
  };
}

/** Octets of heap a packet: left after a collection, and used before it. A few kilooctets of them are V8's own. */
export function allocation(step: Step): { lasting: number; passing: number } {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  step.run(ALLOCATION_PACKETS);
  const used = process.memoryUsage().heapUsed;
  collectGarbage();
  const left = process.memoryUsage().heapUsed;
  return {
    lasting: Math.max(0, left - before) / ALLOCATION_PACKETS,
    passing: Math.max(0, used - before) / ALLOCATION_PACKETS,
  };
}

/** `global.gc` without a flag on the command line. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
}

function queueStep(): Step {
  const { arena, slots } = packets();
  const queue = new IngressQueue(arena);
  return batched("queue: push, peek, shift", () => {
    for (let index = 0; index < BATCH; index += 1) queue.push(0, slots[index] as number);
    for (let index = 0; index < BATCH; index += 1) {
      queue.peek(0);
      queue.shift();
    }
  });
}

function hashStep(): Step {
  const { arena, slots } = packets();
  let sum = 0;
  return batched("flow hash", () => {
    for (let index = 0; index < BATCH; index += 1) {
      sum = (sum + flowHash(arena, slots[index] as number, 4)) | 0;
    }
  });
}

function preambleStep(): Step {
  const { arena, slots } = packets();
  let seq = 0;
  return batched("preamble with order fields", () => {
    for (let index = 0; index < BATCH; index += 1) {
      const slot = slots[index] as number;
      pushOrderedPreamble(arena, slot, 0, 0x123456, seq, seq, 1);
      arena.start[slot] = (arena.start[slot] as number) + 13;
      arena.length[slot] = BYTES;
      seq += 1;
    }
  });
}

function orderStep(): Step {
  const order = new OrderStamp();
  return batched("order and prev", () => {
    for (let index = 0; index < BATCH; index += 1) order.next(index & 7);
  });
}

function flightStep(): Step {
  const { arena } = packets();
  const flight = new Flight(arena);
  let nowUs = 0;
  return batched("flight: record, acknowledge, settle", () => {
    nowUs += 100;
    for (let index = 0; index < BATCH; index += 1) flight.record(nowUs, MSS, -1);
    flight.begin();
    flight.acknowledge(flight.next - BATCH, flight.next - 1);
    flight.settle(nowUs, 0);
  });
}

function receiptsStep(): Step {
  const receipts = new Receipts();
  let nowUs = 0;
  return batched("receipts: note", () => {
    nowUs += 100;
    for (let index = 0; index < BATCH; index += 1) {
      receipts.note(nowUs, receipts.largest + 1, MSS, 0, false);
    }
  });
}

function schedulerStep(count: number): Step {
  const { arena } = packets();
  const links = Array.from({ length: count }, (_, number) => linkOf(arena, number));
  const scheduler = new Scheduler(links);
  return batched(`scheduler: pick one of ${count} links`, () => {
    scheduler.refresh(0, 0);
    for (let index = 0; index < BATCH; index += 1) scheduler.pick(0, BYTES, 0);
  });
}

/** Queue, schedule, stamp, send, receive, report, acknowledge: both portals' work for each packet. */
function wholeStep(count: number): Step {
  const from = bondOf(count);
  const to = bondOf(count);
  let nowUs = 0;
  let batches = 0;
  return batched(`whole way, both portals, ${count} link${count > 1 ? "s" : ""}`, () => {
    nowUs += 1500;
    batches += 1;
    for (let index = 0; index < BATCH; index += 1) {
      const slot = from.arena.take();
      from.arena.octets.set(PACKET, from.arena.start[slot]);
      from.arena.length[slot] = BYTES;
      from.bond.enqueue(nowUs, slot);
    }
    carry(nowUs, from, to);
    to.bond.tick(nowUs + 1);
    carry(nowUs + 1, to, from);
    from.bond.tick(nowUs + 1);
    carry(nowUs + 1, from, to);
    // Dropping a packet is cheaper than carrying it: what is not carried would flatter the figure.
    const carried = from.bond.links.reduce((sum, { counters }) => sum + counters.packetsOut, 0);
    assert(batches < WARM_BATCHES || carried > CARRIED_MIN * batches * BATCH, "links keep up");
  });
}

interface BenchSide {
  readonly arena: Arena;
  readonly bond: Bond;
}

function bondOf(count: number): BenchSide {
  const arena = new Arena(SLOTS);
  const bond = new Bond(arena);
  for (let number = 0; number < count; number += 1) bond.add(linkOf(arena, number));
  return { arena, bond };
}

/** Moves what stands in the outboxes to the other side; headers only, as the addon copies the rest. */
function carry(nowUs: number, from: BenchSide, to: BenchSide): void {
  for (let more = true; more; ) {
    more = from.bond.pull(nowUs);
    const { links } = from.bond;
    for (let at = 0; at < links.length; at += 1) {
      const link = links[at] as Link;
      for (let index = 0; index < link.outboxCount; index += 1) {
        deliver(nowUs, from, to, at, link.outbox[index] as number);
      }
      link.drained(link.outboxCount);
    }
  }
}

function deliver(nowUs: number, from: BenchSide, to: BenchSide, at: number, sent: number): void {
  const slot = to.arena.take();
  const start = from.arena.start[sent] as number;
  const into = to.arena.start[slot] as number;
  for (let octet = 0; octet < COPIED_OCTETS; octet += 1) {
    to.arena.octets[into + octet] = from.arena.octets[start + octet] as number;
  }
  to.arena.length[slot] = from.arena.length[sent] as number;
  to.arena.seq[slot] = from.arena.seq[sent] as number;
  from.arena.give(sent);
  const link = to.bond.links[at] as Link;
  if (typeOf(to.arena, slot) === TYPE.feedback) {
    to.bond.receiveFeedback(nowUs, link, slot);
    to.arena.give(slot);
    return;
  }
  to.bond.receive(nowUs, link, slot);
  const { arrived } = to.bond;
  for (let index = 0; index < arrived.readyCount; index += 1) {
    to.arena.give(arrived.ready[index] as number);
  }
  arrived.readyCount = 0;
}

function linkOf(arena: Arena, number: number): Link {
  const controller = makeController(DEFAULT_CONTROLLER, MSS);
  const link = new Link({ number, name: `l${number}`, arena, controller, mssBytes: MSS });
  link.carriageOctets = 30;
  link.attach(0);
  return link;
}

/** IPv4, TCP, 10.0.0.1:1000 to 10.0.0.2:9. */
const PACKET = Uint8Array.of(
  ...[0x45, 0, BYTES >> 8, BYTES & 0xff, 0, 0, 0, 0, 64, 6, 0, 0],
  ...[10, 0, 0, 1, 10, 0, 0, 2, 1000 >> 8, 1000 & 0xff, 0, 9],
);

function packets(): { arena: Arena; slots: Int32Array } {
  const arena = new Arena(SLOTS);
  const slots = new Int32Array(BATCH);
  arena.fill(slots, 0, BATCH);
  for (const slot of slots) {
    arena.write(slot, PACKET);
    arena.length[slot] = BYTES;
    pushPreamble(arena, slot, TYPE.data, 0, 0, 0);
    arena.start[slot] = (arena.start[slot] as number) + 8;
    arena.length[slot] = BYTES;
  }
  return { arena, slots };
}

function batched(name: string, once: () => void): Step {
  return {
    name,
    run: (count) => {
      for (let done = 0; done < count; done += BATCH) once();
    },
  };
}
