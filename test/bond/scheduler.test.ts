/** Which link takes the next packet, which waits for better ones, and what wakes it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Scheduler } from "../../src/bond/scheduler.ts";
import type { CongestionController } from "../../src/cc/controller.ts";
import { Arena } from "../../src/core/arena.ts";
import { MS, SECOND, type TimeUs } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import { newFeedback } from "../../src/wire/feedback.ts";

const MSS = 1500;

/** A window that stays as it is, unpaced. */
function windowOf(cwndBytes: number): CongestionController {
  return {
    ...{ name: "constant", phase: "run", drain: "none", starting: false, answersMarks: false },
    ...{ cwndBytes, pacingRate: Number.POSITIVE_INFINITY },
    onSent() {},
    onAck() {},
    onLoss() {},
    onSpuriousLoss() {},
    onPathReset() {},
    beginDrain() {},
  };
}

/** Links with their one-way delays (ms) and windows (packets), each measured once by then. */
function linksOf(...paths: readonly (readonly [delayMs: number, packets: number])[]): Link[] {
  const arena = new Arena(512);
  return paths.map(([delayMs, packets], number) => {
    const controller = windowOf(packets * MSS);
    const link = new Link({ number, name: `l${number}`, arena, controller, mssBytes: MSS });
    link.attach(0);
    for (let round = 0; round < 20; round += 1) measure(link, round * 200 * MS, delayMs);
    return link;
  });
}

function measure(link: Link, nowUs: TimeUs, delayMs: number): void {
  link.sender.record(nowUs, 1000, -1);
  const feedback = newFeedback();
  feedback.largest = link.sender.nextSeq - 1;
  feedback.rangeCount = 1;
  feedback.receivedUs = nowUs + delayMs * MS;
  feedback.bytes = 1000 * link.sender.nextSeq;
  link.acknowledge(nowUs + 2 * delayMs * MS, feedback, true);
}

const NOW = 10 * SECOND;

test("of equal links with room, one is as good as the other; a full one is passed over", () => {
  const links = linksOf([10, 0.1], [10, 50]);
  const scheduler = new Scheduler(links);
  scheduler.refresh(NOW, 0);
  for (const link of links) link.sender.record(NOW, MSS, -1);
  assert.equal(scheduler.pick(NOW, MSS, 0)?.number, 1);
});

test("a far link waits until the nearer ones are longer at the backlog than it is behind", () => {
  // The near link stands for 40 packets in 20 ms; the far one is 30 ms behind: 60 packets.
  const links = linksOf([10, 40], [40, 40]);
  const scheduler = new Scheduler(links);
  const near = links[0] as Link;
  for (let packet = 0; packet < 40; packet += 1) near.sender.record(NOW, MSS, -1);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.pick(NOW, MSS, 50 * MSS), undefined);
  assert.equal(scheduler.pick(NOW, MSS, 70 * MSS)?.number, 1);
  assert.ok(Math.abs(scheduler.allowanceUs - 30 * MS) < MS, `${scheduler.allowanceUs}`);
});

test("what waits before a far link counts as far as the way", () => {
  const links = linksOf([10, 40], [40, 40]);
  const scheduler = new Scheduler(links);
  const [near, far] = links as [Link, Link];
  for (let round = 0; round < 40; round += 1) measure(far, (4 + round / 10) * SECOND, 60);
  for (let packet = 0; packet < 40; packet += 1) near.sender.record(NOW, MSS, -1);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.pick(NOW, MSS, 90 * MSS), undefined);
  assert.equal(scheduler.pick(NOW, MSS, 110 * MSS)?.number, 1);
});

test("a packet that fits no nearer link waits for none: the gate is open to it", () => {
  const links = linksOf([10, 40], [40, 40]);
  (links[0] as Link).maxInnerOctets = 1_200;
  const scheduler = new Scheduler(links);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.pick(NOW, 1_000, 0)?.number, 0);
  assert.equal(scheduler.pick(NOW, MSS, 0)?.number, 1);
  assert.equal(scheduler.readyUs(NOW, MSS, 0), NOW);
  for (let packet = 0; packet < 40; packet += 1) links[0]?.sender.record(NOW, MSS, -1);
  assert.equal(scheduler.pick(NOW, 1_000, 0), undefined, "closed to what fits");
});

test("a closed gate is no reason to wake up: the link behind it has room all the time", () => {
  const links = linksOf([10, 40], [40, 40]);
  const scheduler = new Scheduler(links);
  for (let packet = 0; packet < 40; packet += 1) links[0]?.sender.record(NOW, MSS, -1);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.readyUs(NOW, MSS, 10 * MSS), Number.POSITIVE_INFINITY);
  assert.equal(scheduler.readyUs(NOW, MSS, 70 * MSS), NOW);
});

test("an open gate stays open while more is sent than the nearer links can carry", () => {
  const links = linksOf([10, 40], [40, 40]);
  const scheduler = new Scheduler(links);
  const far = links[1] as Link;
  let nowUs = NOW;
  // 4 packets a millisecond are twice what the near link stands for.
  const send = (perMs: number, ms: number) => {
    for (const endUs = nowUs + ms * MS; nowUs < endUs; nowUs += MS) {
      scheduler.refresh(nowUs, 0);
      for (let packet = 0; packet < perMs; packet += 1) scheduler.pick(nowUs, MSS, 0);
    }
  };
  scheduler.refresh(nowUs, 100 * MSS);
  send(4, 500);
  assert.equal(scheduler.allowanceUs, 0, "open");
  send(1, 500);
  assert.ok(scheduler.allowanceUs > 0, "closed again");
  assert.ok(far.up);
});

test("a gate closes too when the nearer links could nearly carry what is sent, though not at once", () => {
  const scheduler = new Scheduler(linksOf([10, 40], [40, 40]));
  let nowUs = NOW;
  scheduler.refresh(nowUs, 100 * MSS);
  // The near link stands for 2 packets a millisecond.
  const send = (ms: number) => {
    for (const endUs = nowUs + ms * MS; nowUs < endUs; nowUs += MS) {
      scheduler.refresh(nowUs, 0);
      const packets = (nowUs / MS) % 10 === 0 ? 1 : 2;
      for (let packet = 0; packet < packets; packet += 1) scheduler.pick(nowUs, MSS, 0);
    }
  };
  send(300);
  assert.equal(scheduler.allowanceUs, 0, "open");
  send(400);
  assert.ok(scheduler.allowanceUs > 0, "closed");
});

test("a link that may not send for want of a transport closes no gate", () => {
  const links = linksOf([10, 40], [40, 40]);
  (links[0] as Link).held = true;
  const scheduler = new Scheduler(links);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.pick(NOW, MSS, 0)?.number, 1);
});

test("a link that is down neither closes a gate nor takes a packet", () => {
  const links = linksOf([10, 40], [40, 40]);
  const scheduler = new Scheduler(links);
  links[0]?.detach(NOW);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.pick(NOW, MSS, 0)?.number, 1);
  assert.equal(scheduler.pickUrgent(1000)?.number, 1);
  links[1]?.detach(NOW);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.pick(NOW, MSS, 0), undefined);
  assert.equal(scheduler.pickUrgent(1000), undefined);
});

test("a link whose answers all came over others is used like any other", () => {
  const links = linksOf([10, 40], [10, 40]);
  const other = links[1] as Link;
  other.rtt.minUs = Number.POSITIVE_INFINITY;
  other.sender.oneWay.reset();
  const scheduler = new Scheduler(links);
  for (let packet = 0; packet < 40; packet += 1) links[0]?.sender.record(NOW, MSS, -1);
  scheduler.refresh(NOW, 0);
  assert.equal(scheduler.pick(NOW, MSS, 10 * MSS), other);
  assert.ok(other.sender.capacity > 0);
});

test("an urgent packet takes the nearest link although its window is full, its copy the next", () => {
  const links = linksOf([10, 1], [25, 40], [15, 40]);
  const scheduler = new Scheduler(links);
  links[0]?.sender.record(NOW, MSS, -1);
  scheduler.refresh(NOW, 0);
  const first = scheduler.pickUrgent(1000);
  assert.equal(first?.number, 0);
  assert.equal(scheduler.pickUrgent(1000, first)?.number, 2);
});

test("the receiver is told how far links are apart and how long a repair takes", () => {
  const scheduler = new Scheduler(linksOf([10, 40], [40, 40]));
  scheduler.refresh(NOW, 0);
  assert.ok(scheduler.holdUs >= 30 * MS && scheduler.holdUs < 40 * MS, `${scheduler.holdUs}`);
  assert.ok(scheduler.repairUs >= 100 * MS && scheduler.repairUs < 250 * MS);
});
