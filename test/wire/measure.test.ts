/** The probe's messages: golden octets both ways, every refusal, and no answer much longer than its question. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ASK_OCTETS,
  type Ask,
  decodeAsk,
  decodeReport,
  decodeRequest,
  decodeTrain,
  encodeAsk,
  encodeReport,
  encodeRequest,
  encodeTrain,
  fillingAt,
  measureOf,
  POSITIONS_MAX,
  REPORT_ARRIVALS_MAX,
  type Report,
  STATUSES,
  TRAIN_OCTETS,
  type TrainPacket,
  type TrainRequest,
} from "../../src/wire/measure.ts";
import { TAG_OCTETS } from "../../src/wire/message.ts";
import { PREAMBLE_OCTETS } from "../../src/wire/preamble.ts";
import { controlMessage } from "./control-message.ts";

const hexOf = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
const golden = (text: string) => text.replaceAll(" ", "");

test("TRAIN stands on the wire as described, filling behind it", () => {
  const packet: TrainPacket = {
    ...{ transport: 1, echo: "wanted", otherProtocol: false, trafficClass: 0xb8 },
    ...{ train: 0x0102, index: 3, count: 20, octets: 22, sentUs: 0xdeadbeef, token: 0x11223344 },
  };
  const filling = hexOf(Uint8Array.of(fillingAt(20), fillingAt(21)));
  const octets = encodeTrain(packet);
  assert.equal(
    hexOf(octets),
    golden(`06 01 01 b8 0102 0003 0014 0016 deadbeef 11223344${filling}`),
  );
});

test("REPORT stands on the wire as described", () => {
  const report: Report = {
    ...{ status: "done", transport: 0, train: 5, from: 128, token: 1, sent: 2, received: 3 },
    ...{ duplicates: 4, reordered: 5, displacement: 6, remarked: 7, mangled: 70_000 },
    ...{ hopsMin: 57, hopsMax: 58, trafficClass: 2, remarkedTo: 1, family: 4, port: 40_000 },
    address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1),
    positions: [60, 61],
    arrivalsUs: [0, -1, 20_000],
  };
  const head = "09 02 00 04 0005 0080 00000001 0002 0003 0004 0005 0006 0007 ffff 39 3a 02 01 9c40";
  const rest = `${"00".repeat(10)} ffff c0000201 003c 003d ${"0000".repeat(6)} 000000 ffffff 0007d0`;
  assert.equal(hexOf(encodeReport(report)), golden(head + rest));
});

const u = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const plain = { noNullPrototype: true } as const;
const octets = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });

const trains: fc.Arbitrary<TrainPacket> = fc.record(
  {
    transport: u(8),
    echo: fc.constantFrom("no", "wanted", "is"),
    otherProtocol: fc.boolean(),
    trafficClass: u(8),
    train: u(16),
    index: u(16),
    count: u(16),
    octets: fc.integer({ min: TRAIN_OCTETS, max: 1944 }),
    sentUs: u(32),
    token: u(32),
  },
  plain,
);
const requests: fc.Arbitrary<TrainRequest> = fc.record(
  {
    ...{ transport: u(8), trafficClass: u(8), derive: fc.boolean(), train: u(16), count: u(16) },
    ...{ octets: u(16), intervalUs: u(32), token: u(32), local: octets(16), port: u(16) },
  },
  plain,
);
const asks: fc.Arbitrary<Ask> = fc.record(
  {
    ...{ transport: u(8), train: u(16), from: u(16), token: u(32) },
  },
  plain,
);
const reports: fc.Arbitrary<Report> = fc.record(
  {
    ...{ status: fc.constantFrom(...STATUSES), transport: u(8), train: u(16), from: u(16) },
    ...{ token: u(32), sent: u(16), received: u(16), duplicates: u(16), reordered: u(16) },
    ...{ displacement: u(16), remarked: u(16), mangled: u(16), hopsMin: u(8), hopsMax: u(8) },
    ...{ trafficClass: u(8), remarkedTo: u(8), family: fc.constantFrom(0, 4, 6), port: u(16) },
    address: octets(16),
    positions: fc.array(fc.integer({ min: 8, max: 2000 }), { maxLength: POSITIONS_MAX }),
    arrivalsUs: fc.array(
      fc.oneof(
        fc.constant(-1),
        u(24).map((units) => Math.min(units, 0xff_fffe) * 10),
      ),
      { maxLength: REPORT_ARRIVALS_MAX },
    ),
  },
  plain,
);

test("what is encoded is decoded", () => {
  fc.assert(
    fc.property(trains, requests, asks, reports, (train, request, ask, report) => {
      assert.deepEqual(decodeTrain(controlMessage(encodeTrain(train))), train);
      assert.deepEqual(decodeRequest(controlMessage(encodeRequest(request))), request);
      assert.deepEqual(decodeAsk(controlMessage(encodeAsk(ask))), ask);
      assert.deepEqual(decodeReport(controlMessage(encodeReport(report))), report);
    }),
  );
});

test("no octets make a decoder throw, and shorter ones are truncated", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), u(8), (rest, first) => {
      const message = controlMessage(Uint8Array.of(first, ...rest));
      for (const decode of [decodeTrain, decodeRequest, decodeAsk, decodeReport]) decode(message);
    }),
  );
  fc.assert(
    fc.property(reports, fc.integer({ min: 0, max: 63 }), (report, length) => {
      const cut = encodeReport(report).subarray(0, length);
      assert.equal(decodeReport(controlMessage(cut)), "truncated");
    }),
  );
});

test("a train packet that was cut or lengthened is refused", () => {
  const packet: TrainPacket = {
    ...{ transport: 0, echo: "no", otherProtocol: false, trafficClass: 0, train: 1, index: 0 },
    ...{ count: 1, octets: 100, sentUs: 0, token: 0 },
  };
  const body = encodeTrain(packet);
  assert.equal(decodeTrain(controlMessage(body.subarray(0, 99))), "truncated");
  assert.equal(decodeTrain(controlMessage(Uint8Array.of(...body, 0))), "truncated");
});

test("only subtypes 6 to 9 are measurements", () => {
  const ours = Array.from({ length: 256 }, (_, first) =>
    measureOf(controlMessage(Uint8Array.of(first))),
  );
  assert.deepEqual(
    ours.filter((measure) => measure !== undefined),
    [6, 7, 8, 9],
  );
  assert.equal(measureOf(controlMessage(new Uint8Array(0))), undefined);
});

test("no report is longer than 3 times the question", () => {
  const arrivalsUs = Array.from({ length: 500 }, (_, index) => index);
  const report = { ...fc.sample(reports, 1)[0], arrivalsUs } as Report;
  const outer = PREAMBLE_OCTETS + TAG_OCTETS;
  assert.ok(encodeReport(report).length + outer <= 3 * (ASK_OCTETS + outer));
});
