/** Traces hop by hop by two protocols at once: how far each comes, and which router refuses which. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRACED, type Traced, Tracer, traceSentence } from "../../src/probe/tracer.ts";

const PORTAL = "203.0.113.9";
const ROUTERS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

type Answer = { readonly icmp: readonly [number, number]; readonly from: string } | "echo" | null;

/** Walks in virtual time; an answer comes 10 ms after its packet. */
function trace(answer: (transport: Traced, hops: number) => Answer, transports = TRACED) {
  let nowUs = SECOND;
  let packets = 0;
  const tracer = new Tracer(nowUs, PORTAL, transports);
  while (!tracer.done) {
    const packet = tracer.poll(nowUs);
    if (packet === null) {
      if (!tracer.done) nowUs = tracer.deadlineUs();
      continue;
    }
    packets += 1;
    assert.ok(packets < 500, "it ends");
    const { transport, hops, index } = packet;
    const said = answer(transport, hops);
    if (said === "echo") tracer.echo(nowUs + 10 * MS, transport, index);
    else if (said !== null) tracer.icmp(nowUs + 10 * MS, transport, ...said.icmp, said.from);
  }
  return { result: tracer.result(), packets, seconds: (nowUs - SECOND) / SECOND };
}

const onward = (hops: number): Answer => {
  const from = ROUTERS[hops - 1];
  return from === undefined ? "echo" : { icmp: [11, 0], from };
};

test("both protocols reach the portal over the same hops", () => {
  const { result, packets } = trace((_, hops) => onward(hops));
  for (const transport of TRACED) {
    assert.deepEqual(
      result[transport].map(({ from }) => from),
      [...ROUTERS, PORTAL],
    );
    assert.equal(result[transport].at(-1)?.rttUs, 10 * MS);
  }
  assert.equal(packets, 8);
  assert.equal(traceSentence(result), null);
});

test("the last hop that carries raw IP and the first that does not are named", () => {
  const { result, seconds } = trace((transport, hops) =>
    transport === "raw" && hops > 2 ? null : onward(hops),
  );
  assert.equal(
    traceSentence(result),
    "raw IP is last seen at hop 2 (192.0.2.2); UDP goes on to hop 3 (192.0.2.3), where raw IP is not seen any more",
  );
  assert.equal(result.raw.at(-1)?.from, null);
  assert.ok(seconds < 6, `${seconds} s`);
});

test("a router that refuses a protocol is named, and asked no further", () => {
  const { result } = trace((transport, hops) =>
    transport === "raw" && hops === 2 ? { icmp: [3, 2], from: "192.0.2.2" } : onward(hops),
  );
  assert.equal(traceSentence(result), "raw IP is refused at hop 2 by 192.0.2.2 (ICMP 3/2)");
  assert.equal(result.raw.length, 2);
});

test("a hop that answers nobody is passed over", () => {
  const { result } = trace((_, hops) => (hops === 2 ? null : onward(hops)));
  assert.deepEqual(
    result.udp.map(({ from }) => from),
    ["192.0.2.1", null, "192.0.2.3", PORTAL],
  );
  assert.equal(traceSentence(result), null);
});

test("a path that answers nothing ends", () => {
  const { result, seconds } = trace(() => null);
  assert.deepEqual(result.raw, [{ hops: 1, from: null, icmp: null, rttUs: null, reached: false }]);
  assert.ok(seconds < 10);
  assert.equal(traceSentence(result), "raw IP is seen at no hop, and UDP goes no further");
});
