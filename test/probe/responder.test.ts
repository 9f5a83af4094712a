/** What a Remote Portal gives a probing client, and what it refuses it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PATH_OCTETS } from "../../src/core/arena.ts";
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { NEVER, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport, transportNumber } from "../../src/core/transport.ts";
import { manglingOf } from "../../src/probe/mangling.ts";
import { ANSWERS_MAX, ProbeResponder } from "../../src/probe/responder.ts";
import { mappedOctets } from "../../src/probe/transport-notes.ts";
import {
  decodeReport,
  decodeTrain,
  encodeAsk,
  encodeRequest,
  encodeTrain,
  fillingAt,
  MEASURE,
  type Report,
  type TrainPacket,
  type TrainRequest,
} from "../../src/wire/measure.ts";
import { controlMessage } from "../wire/control-message.ts";

function pathOf(transport: Transport, host = 2): Path {
  const path = new Uint8Array(PATH_OCTETS);
  path[PATH_AT.family] = 4;
  path[PATH_AT.transport] = transportNumber(transport);
  if (transport !== "raw") path.set([0x9c, 0x40], PATH_AT.port);
  path.set([192, 0, 2, host], PATH_AT.remote);
  return path;
}

const packet: TrainPacket = {
  ...{ transport: 1, echo: "wanted", otherProtocol: false, trafficClass: 0, train: 1, index: 0 },
  ...{ count: 10, octets: 60, sentUs: 0, token: 0 },
};
const request: TrainRequest = {
  ...{ transport: 1, trafficClass: 0xb8, derive: false, train: 9, count: 100, octets: 1000 },
  ...{ intervalUs: 1000, token: 0, local: new Uint8Array(16), port: 40_000 },
};

class Client {
  nowUs = SECOND;
  token = 0;
  readonly responder: ProbeResponder;

  constructor(rate?: number) {
    const random = new SeededRandom(3).octets;
    this.responder = new ProbeResponder({ random, ...(rate === undefined ? {} : { rate }) });
  }

  say(body: Uint8Array, transport: Transport = "udp", host = 2): void {
    this.responder.handle(
      this.nowUs,
      controlMessage(body),
      pathOf(transport, host),
      transport,
      0,
      60,
    );
  }

  /** Everything that leaves until `untilUs`. */
  hear(untilUs = this.nowUs): { path: Path; body: Uint8Array; atUs: number }[] {
    const heard = [];
    for (;;) {
      const answer = this.responder.poll(this.nowUs);
      if (answer !== null) heard.push({ ...answer, atUs: this.nowUs });
      else {
        const dueUs = this.responder.deadlineUs();
        if (dueUs > untilUs || dueUs <= this.nowUs) break;
        this.nowUs = dueUs;
      }
    }
    this.nowUs = Math.max(this.nowUs, untilUs);
    return heard;
  }

  /** Shows that it receives: sends the token back. */
  validate(transport: Transport = "udp"): void {
    this.say(encodeTrain({ ...packet, train: 77 }), transport);
    const [echo] = this.hear();
    const decoded = decodeTrain(controlMessage(echo?.body ?? new Uint8Array(0)));
    assert.ok(decoded !== "truncated");
    this.token = decoded.token;
    this.say(encodeTrain({ ...packet, train: 78, token: this.token, echo: "no" }), transport);
  }

  report(train: number, transport: Transport = "udp"): Report {
    this.say(encodeAsk({ transport: 1, train, from: 0, token: this.token }), transport);
    const answer = this.hear().find(({ body }) => body[0] === MEASURE.report);
    const report = decodeReport(controlMessage(answer?.body ?? new Uint8Array(0)));
    assert.ok(report !== "truncated");
    return report;
  }
}

test("it reports what came, what came twice, what was overtaken and how it was marked", () => {
  const client = new Client();
  for (const [index, trafficClass] of [0, 3, 1, 1, 2].map((at) => [at, at === 2 ? 2 : 0])) {
    const sent = {
      ...packet,
      echo: "no",
      index: index ?? 0,
      trafficClass: trafficClass ?? 0,
    } as const;
    client.nowUs += 100;
    client.say(encodeTrain(sent));
  }
  const report = client.report(1);
  assert.deepEqual(
    [report.received, report.duplicates, report.reordered, report.displacement, report.remarked],
    [4, 1, 2, 2, 1],
  );
  assert.deepEqual(report.arrivalsUs.slice(0, 5), [0, 200, 400, 100, -1]);
  assert.deepEqual([report.hopsMin, report.hopsMax, report.port], [60, 60, 40_000]);
  assert.deepEqual(report.address, mappedOctets("192.0.2.2"));
});

test("it sends a train as asked for, and once only", () => {
  const client = new Client();
  client.validate();
  client.say(encodeRequest({ ...request, token: client.token }));
  client.say(encodeRequest({ ...request, token: client.token }));
  const heard = client.hear(client.nowUs + SECOND).filter(({ body }) => body[0] === MEASURE.train);
  const trains = heard.map(({ body }) => decodeTrain(controlMessage(body)));
  assert.deepEqual(
    trains.map((train) => (train === "truncated" ? -1 : train.index)),
    Array.from({ length: 100 }, (_, index) => index),
  );
  assert.equal((heard.at(-1)?.atUs ?? 0) - (heard[0]?.atUs ?? 0), 99_000);
  assert.equal(client.report(9).status, "done");
});

test("an address that does not send the token back gets 3 times what it sent at most", () => {
  for (const transport of TRANSPORTS) {
    const client = new Client();
    const asked = encodeRequest({ ...request, transport: transportNumber(transport) });
    client.say(asked, transport);
    const octets = client.hear(10 * SECOND).reduce((sum, { body }) => sum + body.length + 24, 0);
    assert.ok(octets <= 3 * (asked.length + 32), `${transport}: ${octets}`);
  }
});

test("a validated host may receive by its other transports", () => {
  const client = new Client();
  client.validate();
  client.say(encodeTrain({ ...packet, transport: 0, echo: "no", train: 5 }), "raw");
  client.say(encodeRequest({ ...request, transport: 0 }));
  const raw = client.hear(2 * SECOND).filter(({ path }) => path[PATH_AT.transport] === 0);
  assert.equal(raw.length, 100);
});

test("another host does not inherit the validation", () => {
  const client = new Client();
  client.validate();
  client.say(encodeTrain({ ...packet, transport: 0, echo: "no", train: 5 }), "raw", 3);
  client.say(encodeRequest({ ...request, transport: 0 }));
  const raw = client.hear(2 * SECOND).filter(({ path }) => path[PATH_AT.transport] === 0);
  assert.ok(raw.length <= 1, `${raw.length}`);
});

test("where nothing was heard it speaks first only to an address that nobody has translated", () => {
  const own = mappedOctets("192.0.2.2");
  const inside = mappedOctets("10.0.0.2");
  const first = (transport: number, derive: boolean, local: Uint8Array) => {
    const client = new Client();
    client.validate("tcp");
    const asked = { ...request, transport, derive, local, token: client.token };
    client.say(encodeRequest(asked), "tcp");
    const heard = client
      .hear(2 * SECOND)
      .filter(({ path }) => path[PATH_AT.transport] === transport);
    const ports = new Set(heard.map(({ path }) => path.subarray(PATH_AT.port, 4).join(".")));
    return { packets: heard.length, ports: [...ports], status: client.report(9, "tcp").status };
  };
  const none = { packets: 0, ports: [], status: "noPath" };
  assert.deepEqual(first(0, true, own), { packets: 100, ports: ["0.0"], status: "done" });
  assert.deepEqual(first(1, true, own), { packets: 100, ports: ["156.64"], status: "done" });
  for (const transport of [0, 1]) {
    assert.deepEqual(first(transport, true, inside), none);
    assert.deepEqual(first(transport, false, own), none);
  }
});

test("a packet under another protocol number opens no path", () => {
  const client = new Client();
  client.validate();
  const other = { ...packet, transport: 0, echo: "wanted", otherProtocol: true, train: 6 } as const;
  client.say(encodeTrain(other), "raw");
  client.say(encodeRequest({ ...request, transport: 0, token: client.token }));
  assert.equal(
    client.hear(2 * SECOND).filter(({ path }) => path[PATH_AT.transport] === 0).length,
    0,
  );
  assert.equal(client.report(6).received, 1);
});

test("it keeps to its rate whatever is asked for", () => {
  const client = new Client(1e6);
  client.validate();
  client.say(encodeRequest({ ...request, count: 8000, intervalUs: 0, token: client.token }));
  const startUs = client.nowUs;
  const heard = client.hear(startUs + 4 * SECOND);
  const bits = heard.reduce((sum, { body }) => sum + 8 * (body.length + 72), 0);
  assert.ok(bits <= 4 * 1.25e6 + 8 * 65_536, `${bits}`);
  assert.ok(bits > 4e6, `${bits}`);
});

test("what is asked for too often or too large is dropped or refused, not kept", () => {
  const client = new Client();
  client.validate();
  for (let index = 0; index < 4 * ANSWERS_MAX; index += 1) {
    client.say(encodeAsk({ transport: 1, train: index, from: 0, token: client.token }));
  }
  assert.ok(client.hear(60 * SECOND).length <= ANSWERS_MAX);
  client.say(encodeRequest({ ...request, octets: 1945, token: client.token }));
  assert.equal(client.report(9).status, "tooMuch");
  assert.equal(client.responder.deadlineUs(), NEVER);
});

test("a train of no packets is done before it begins", () => {
  const client = new Client();
  client.validate();
  client.say(encodeRequest({ ...request, count: 0, intervalUs: 0, token: client.token }));
  assert.equal(client.hear(client.nowUs + SECOND).length, 1, "the report, and nothing else");
  assert.equal(client.responder.deadlineUs(), NEVER);
});

test("it names the octets of a train packet that were changed", () => {
  const client = new Client();
  const message = controlMessage(encodeTrain({ ...packet, echo: "no", octets: 400 }));
  // In the fields, in their copies and behind them.
  for (const at of [12, 40, 100, 101, 300]) message[at] = (message[at] as number) ^ 0xff;
  const tagged = Buffer.concat([message, Buffer.alloc(16, 0x5a)]);
  client.responder.mangled(tagged);
  client.responder.mangled(message);
  const report = client.report(1);
  assert.equal(report.mangled, 2);
  assert.deepEqual(report.positions, [12, 40, 100, 101, 300]);
});

test("what never was a train packet is not taken for a mangled one", () => {
  const random = new SeededRandom(5);
  for (let index = 0; index < 500; index += 1) {
    assert.equal(manglingOf(random.octets(300)), null);
  }
  assert.notEqual(fillingAt(20), fillingAt(21));
});
