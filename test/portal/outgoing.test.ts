/** What becomes of a link whose packets the machine does not take: how long it waits, for what, and who hears of it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Arena } from "../../src/core/arena.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import { Ladder } from "../../src/ladder/ladder.ts";
import { COUNTER, type Engine, READY, type SendFailure } from "../../src/native/native.ts";
import { Carrier } from "../../src/portal/carrier.ts";
import { Outgoing } from "../../src/portal/outgoing.ts";
import { Peer } from "../../src/portal/peer.ts";
import { SendFailures } from "../../src/portal/send-failures.ts";

const SOCKET = 7;
const FULL: SendFailure = { code: "ENOBUFS", packets: 1, kept: true };
const START_US = 1_000 * SECOND;

/** A peer with one link by UDP whose outbox holds packets, and a machine that takes as many as it is told to. */
function world() {
  const arena = new Arena(128);
  const machine = { takes: 64, failure: null as SendFailure | null, interest: [] as number[] };
  const engine = {
    send: (_transmit: number, _batch: Int32Array, count: number) => {
      const { failure } = machine;
      if (failure !== null && !failure.kept) {
        arena.counters[COUNTER.sendFailed] =
          (arena.counters[COUNTER.sendFailed] ?? 0) + failure.packets;
      }
      return Math.min(count, machine.takes);
    },
    sendFailure: () => machine.failure,
    setInterest: (_socket: number, events: number) => machine.interest.push(events),
    setTrafficClass() {},
  } as unknown as Engine;
  const told: SendFailure[] = [];
  const onSendFailure = (_peer: Peer, _link: unknown, _transport: unknown, failure: SendFailure) =>
    told.push(failure);
  const ladder = new Ladder({
    ...{ role: "local", allowed: ["udp"], random: randomBytes, fullOctets: 1400 },
  });
  const identity = {
    mssBytes: 1500,
    mtu: 1500,
    controller: { name: "cubic" },
    dscp: 0,
    ecn: true,
  } as const;
  const peer = new Peer(
    ...([0, "remote", arena, () => ({ name: "one", ...identity }), () => ladder] as const),
  );
  const carrier = new Carrier(1, [1, 2, 3], 10, "udp");
  carrier.setRoute("udp", { socket: SOCKET, transport: "udp", family: 4, path: null });
  peer.carriers[0] = carrier;
  const link = peer.link(0);
  link.attach(START_US);
  const stamp = (count: number) => {
    for (let index = 0; index < count; index += 1) {
      link.send(START_US, arena.take(), 0, -1, 0, false);
    }
  };
  return {
    machine,
    outgoing: new Outgoing(engine, arena, { onSendFailure }),
    peer,
    link,
    stamp,
    told,
    arena,
  };
}

test("a full socket is waited for until it is writable, and no timer runs", () => {
  const { machine, outgoing, peer, link, stamp } = world();
  stamp(5);
  machine.takes = 2;
  outgoing.send(START_US, peer, link);
  assert.deepEqual([link.outboxCount, link.blocked], [3, true]);
  assert.deepEqual(machine.interest, [READY.readable | READY.writable]);
  assert.equal(peer.retryUs, NEVER);
});

test("a full device is tried again after 1 ms, then 2, 4, 8 and 16, and after 1 once something has left", () => {
  const { machine, outgoing, peer, link, stamp } = world();
  stamp(5);
  Object.assign(machine, { takes: 0, failure: FULL });
  let nowUs = START_US;
  for (const waitMs of [1, 2, 4, 8, 16, 16]) {
    outgoing.flush(nowUs, peer);
    assert.deepEqual([link.outboxCount, link.blocked], [5, true]);
    assert.equal(peer.retryUs, nowUs + waitMs * MS);
    nowUs = peer.retryUs;
    outgoing.flush(nowUs - 1, peer);
    assert.ok(link.blocked, "not before its time");
  }
  machine.takes = 1;
  outgoing.flush(nowUs, peer);
  assert.equal(link.outboxCount, 4);
  assert.equal(peer.retryUs, nowUs + 1 * MS);
  machine.takes = 64;
  outgoing.flush(peer.retryUs, peer);
  assert.deepEqual([link.outboxCount, link.blocked, peer.retryUs], [0, false, NEVER]);
  assert.deepEqual(machine.interest, [], "no event is waited for");
});

test("a device that takes nothing long does not hold up what is short, and the long ones are given up", () => {
  const { machine, outgoing, peer, link, stamp, arena } = world();
  stamp(5);
  Object.assign(machine, { takes: 0, failure: FULL });
  for (let index = 0; index < 5; index += 1) {
    if (index !== 3) arena.length[link.outbox[index] as number] = 1400;
  }
  const short = link.outbox[3] as number;
  for (let tries = 0; tries < 6; tries += 1) {
    outgoing.flush(tries === 0 ? START_US : peer.retryUs, peer);
  }
  assert.deepEqual([link.outboxCount, link.outbox[0]], [5, short]);
  machine.takes = 1;
  outgoing.flush(peer.retryUs, peer);
  assert.equal(link.outboxCount, 0);
});

test("a device that stays full is congestion once a round trip, one that is full for a moment is none", () => {
  const { machine, outgoing, peer, link, stamp } = world();
  const told: number[] = [];
  link.sender.queueFull = (nowUs) => told.push(nowUs);
  stamp(40);
  Object.assign(machine, { takes: 1, failure: FULL });
  for (let ms = 0; ms < 10; ms += 1) outgoing.flush(START_US + ms * MS, peer);
  assert.deepEqual(told, []);
  machine.takes = 64;
  outgoing.flush(START_US + 10 * MS, peer);
  assert.equal(link.outboxCount, 0);
  stamp(60);
  machine.takes = 0;
  const roundUs = Math.max(link.rtt.srttUs, 16 * MS);
  const fromUs = START_US + SECOND;
  for (let nowUs = fromUs; nowUs <= fromUs + 3 * roundUs + 16 * MS; nowUs += MS) {
    outgoing.flush(nowUs, peer);
  }
  assert.ok(told.length === 2 || told.length === 3, `${told.length} times in 3 round trips`);
});

test("what a firewall refuses is gone and told, and the link goes on", () => {
  const { machine, outgoing, peer, link, stamp, told } = world();
  stamp(5);
  machine.failure = { code: "EPERM", packets: 2, kept: false };
  outgoing.send(START_US, peer, link);
  assert.deepEqual([link.outboxCount, link.blocked], [0, false]);
  assert.deepEqual(told, [machine.failure]);
});

test("a refusal is logged once, and again after a minute without; a long packet never", () => {
  const { peer, link } = world();
  const lines: string[] = [];
  const failures = new SendFailures({ info() {}, warn: (line) => lines.push(line), error() {} });
  const note = (nowUs: number, code: string) =>
    failures.note(nowUs, "", peer, link, "udp", { code, packets: 1, kept: false });
  for (let second = 0; second < 200; second += 1) note(START_US + second * SECOND, "EPERM");
  note(START_US, "EMSGSIZE");
  assert.deepEqual(lines, [
    "link one cannot send by udp: a firewall on this machine refuses it (EPERM)",
  ]);
  note(START_US + 261 * SECOND, "EPERM");
  note(START_US + 261 * SECOND, "ENETUNREACH");
  assert.equal(lines.length, 3);
});
