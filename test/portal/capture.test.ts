/** The glue of a capture, with a ring that a test fills: order, limits, slow readers, links that change ids. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MpfwdError } from "../../src/core/errors.ts";
import {
  type CaptureOptions,
  Captures,
  linkIds,
  linkNames,
  type Tap,
} from "../../src/portal/capture.ts";

const INTERVAL_MS = 50;
const ALL: CaptureOptions = { snapOctets: 100, link: null };

/** What the engine keeps: numbered records, up to `capacity` of them. */
class Ring implements Tap {
  readonly taps: unknown[] = [];
  records: number[] = [];
  missed = 0;
  capacity = 1000;
  links: number[] = [7];
  running = false;

  tap(options: unknown): void {
    this.taps.push(options);
    this.records = [];
  }

  /** One octet a record, three a chunk at the most. */
  readTap(into: Uint8Array): number {
    const out = this.records.splice(0, 3);
    into.set(out);
    return out.length;
  }

  put(...records: number[]): void {
    for (const record of records) {
      if (this.records.length < this.capacity) this.records.push(record);
      else this.missed += 1;
    }
  }
}

/** Takes what it is given while it has room. */
class Reader {
  readonly got: number[] = [];
  room = Number.POSITIVE_INFINITY;
  missed: number | null = null;

  write = (records: Uint8Array): boolean => {
    this.got.push(...records);
    this.room -= 1;
    return this.room > 0;
  };
  end = (missed: number): void => {
    assert.equal(this.missed, null, "a capture ends once");
    this.missed = missed;
  };
}

function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const ring = new Ring();
  const captures = new Captures({
    tap: ring,
    missed: () => ring.missed,
    linkIds: () => ring.links,
    linkNames: () => ["dsl", "lte"],
    onChange: (running) => {
      ring.running = running;
    },
  });
  return { ring, captures, reader: new Reader() };
}

test("records come in order every 50 ms, and the rest at the end", (t) => {
  const { ring, captures, reader } = setUp(t);
  const capture = captures.begin(ALL, reader);
  assert.deepEqual(ring.taps, [{ snapOctets: 100 }]);
  ring.put(1, 2, 3, 4);
  assert.deepEqual(reader.got, [], "not before its time");
  t.mock.timers.tick(INTERVAL_MS);
  assert.deepEqual(reader.got, [1, 2, 3, 4]);
  ring.put(5);
  capture.stop();
  assert.deepEqual([reader.got.at(-1), reader.missed], [5, 0]);
  assert.deepEqual(ring.taps, [{ snapOctets: 100 }, null]);
  capture.stop();
  t.mock.timers.tick(10 * INTERVAL_MS);
  assert.equal(reader.got.length, 5);
});

test("a slow reader leaves records in the ring, and hears how many found no room there", (t) => {
  const { ring, captures, reader } = setUp(t);
  ring.missed = 9; // Of somebody before.
  ring.capacity = 5;
  const capture = captures.begin(ALL, reader);
  reader.room = 1;
  ring.put(1, 2, 3, 4);
  t.mock.timers.tick(INTERVAL_MS);
  assert.deepEqual(reader.got, [1, 2, 3], "one chunk, then it is full");
  ring.put(5, 6, 7, 8, 9, 10);
  t.mock.timers.tick(20 * INTERVAL_MS);
  assert.deepEqual(reader.got, [1, 2, 3], "nothing more until it has room");
  reader.room = 1;
  capture.drained();
  assert.deepEqual(reader.got, [1, 2, 3, 4, 5, 6]);
  capture.stop();
  assert.deepEqual(reader.got, [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(reader.missed, 2);
});

test("whoever goes away gets nothing more, and the next may begin", (t) => {
  const { ring, captures, reader } = setUp(t);
  const first = captures.begin(ALL, reader);
  assert.throws(() => captures.begin(ALL, new Reader()), /another capture runs/);
  ring.put(1);
  first.abandon();
  first.drained();
  assert.deepEqual([reader.got, reader.missed, ring.taps.at(-1)], [[], null, null]);
  assert.equal(ring.running, false);
  const next = captures.begin(ALL, new Reader());
  assert.equal(ring.running, true);
  next.abandon();
  assert.equal(ring.running, false);
});

test("a portal that stops ends its capture in good order", (t) => {
  const { ring, captures, reader } = setUp(t);
  captures.begin(ALL, reader);
  ring.put(1);
  captures.close();
  assert.deepEqual([reader.got, reader.missed], [[1], 0]);
  captures.close();
});

test("a link is followed through its ids, and nothing is lost when they change", (t) => {
  const { ring, captures, reader } = setUp(t);
  captures.begin({ snapOctets: 60, link: "dsl" }, reader);
  t.mock.timers.tick(INTERVAL_MS);
  assert.deepEqual(ring.taps, [{ snapOctets: 60, links: [7] }], "once while they stay");
  ring.links = [7, 8];
  ring.put(1);
  reader.room = 0;
  t.mock.timers.tick(INTERVAL_MS);
  t.mock.timers.tick(INTERVAL_MS);
  assert.equal(ring.taps.length, 1, "not while the ring holds records");
  assert.deepEqual(reader.got, [1]);
});

test("a link that is not there is refused with the names of those that are", (t) => {
  const { captures, reader } = setUp(t);
  const wish = { snapOctets: 60, link: "sdl" };
  assert.throws(
    () => captures.begin(wish, reader),
    (error) =>
      error instanceof MpfwdError &&
      error.code === "ERR_USAGE" &&
      error.message === "there is no link sdl; there are: dsl, lte",
  );
  captures.begin(ALL, reader).abandon();
});

test("a name that too many links have is refused with the way to name one", (t) => {
  const { ring, captures, reader } = setUp(t);
  ring.links = Array.from({ length: 257 }, (_, id) => id + 1);
  const wish = { snapOctets: 60, link: "dsl" };
  assert.throws(() => captures.begin(wish, reader), /too many peers .* PEER\/dsl/);
});

test("link ids are those of both directions, of every peer that has a link of the name", () => {
  const peer = (name: string, links: [name: string, transmitId: number][]) => {
    const list = links.map(([link, transmitId], number) => ({ number, name: link, transmitId }));
    return { name, bond: { links: list, link: (number: number) => list[number] } };
  };
  const home = peer("home", [
    ["0", 100],
    ["1", 101],
  ]);
  const office = peer("office", [["0", 0]]);
  const bound = [
    { id: 200, peer: home, link: 0 },
    { id: 201, peer: home, link: 1 },
    { id: 202, peer: office, link: 0 },
    { id: 203, peer: home, link: 0 },
  ];
  const bindings = new Map(bound.map((binding, context) => [context, binding]));
  const table = { peers: [home, office], bindings } as unknown as Parameters<typeof linkIds>[0];
  assert.deepEqual(linkNames(table), ["0", "home/0", "1", "home/1", "office/0"]);
  assert.deepEqual(linkIds(table, "home/0"), [100, 200, 203]);
  assert.deepEqual(linkIds(table, "0"), [100, 200, 202, 203]);
  assert.deepEqual(linkIds(table, "office/1"), []);
  assert.deepEqual(linkNames({ ...table, peers: [home] } as never), ["0", "1"]);
});
