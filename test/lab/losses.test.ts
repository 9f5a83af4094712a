/** Where a tunnel lost packets, from what its two portals count. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lossesBetween, lossesOf } from "../../netns/load/losses.ts";
import type { PortalStatus } from "../../src/portal/snapshot.ts";

interface Counts {
  readonly drops?: Readonly<Record<string, number>>;
  readonly abandoned?: number;
  readonly order?: Readonly<Record<"lostByProgress" | "lostByTime" | "late", number>>;
}

function status({ drops = {}, abandoned = 0, order }: Counts = {}): PortalStatus {
  const missing = order ?? { lostByProgress: 0, lostByTime: 0, late: 0 };
  const peer = { repair: { abandoned }, order: missing };
  return { drops, peers: [peer] } as unknown as PortalStatus;
}

const NONE = lossesOf(status(), status());

test("a queue answers for what its own portal sends", () => {
  const drops = { queueOverflow: 1, queueDropped: 2, queueTooLate: 4, queueMarked: 8 };
  const { up, down } = lossesBetween(NONE, lossesOf(status({ drops }), status()));
  assert.deepEqual([up.queue, down.queue], [7, 0]);
  assert.deepEqual([up.otherwise, down.otherwise], [{}, {}]);
});

test("order numbers are missing at the receiver, unless they came later", () => {
  const order = { lostByProgress: 5, lostByTime: 3, late: 6 };
  const { up, down } = lossesBetween(NONE, lossesOf(status(), status({ order, abandoned: 4 })));
  assert.deepEqual([up.missing, down.missing], [2, 0]);
  assert.deepEqual([up.abandoned, down.abandoned], [0, 4]);
});

test("every other reason is named, by the direction that it costs", () => {
  const local = status({ drops: { sendRefused: 3, badTag: 2, duplicate: 9 } });
  const { up, down } = lossesBetween(NONE, lossesOf(local, status({ drops: { tooLong: 1 } })));
  assert.deepEqual(up.otherwise, { sendRefused: 3 });
  assert.deepEqual(down.otherwise, { tooLong: 1, badTag: 2 });
});

test("what was lost before the first look does not count", () => {
  const local = status({ drops: { queueDropped: 2, sendRefused: 3 }, abandoned: 1 });
  const before = lossesOf(local, status());
  assert.deepEqual(lossesBetween(before, before), lossesBetween(NONE, NONE));
});
