/** Link options of the lab: what is understood, and how the rest is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isImpaired, parseLink } from "../../netns/link-options.ts";

test("a key without direction is for both directions", () => {
  const link = parseLink("rate=50mbit,delay=10ms");
  assert.equal(link.up.rate, 50_000_000);
  assert.equal(link.down.rate, 50_000_000);
  assert.equal(link.up.impairments.delayUs, 10_000);
  assert.equal(link.down.impairments.delayUs, 10_000);
});

test("a key with a direction is for that one only", () => {
  const link = parseLink("rate_up=5mbit,rate_down=50mbit,loss_down=1%,stop_up=7");
  assert.deepEqual([link.up.rate, link.down.rate], [5_000_000, 50_000_000]);
  assert.deepEqual([link.up.impairments.loss, link.down.impairments.loss], [0, 0.01]);
  assert.equal(link.up.impairments.stop, 7);
});

test("every other option is understood", () => {
  const link = parseLink(
    "jitter=500us,loss=0.5%,burst=4,duplicate=0.01,reorder=2%,gap=5,lose=1;5;9,mtu=1400,nat,queue=20ms",
  );
  const { impairments } = link.up;
  assert.deepEqual([impairments.jitterUs, impairments.loss, impairments.burst], [500, 0.005, 4]);
  assert.deepEqual([impairments.duplicate, impairments.reorder, impairments.gap], [0.01, 0.02, 5]);
  assert.deepEqual(impairments.lose, [1, 5, 9]);
  const { police, bucket } = parseLink("police=20mbit,bucket=30000").down.impairments;
  assert.deepEqual([police, bucket], [20e6, 30_000]);
  assert.deepEqual([link.mtu, link.nat, link.up.queue], [1400, true, { us: 20_000 }]);
  assert.deepEqual(parseLink("queue=65536").up.queue, { octets: 65_536 });
});

test("a link with nothing but a rate is not impaired", () => {
  assert.equal(isImpaired(parseLink("rate=50mbit,queue=10ms,mtu=1400").up), false);
  assert.equal(isImpaired(parseLink("lose=3").up), true);
  assert.equal(isImpaired(parseLink("burst=3,bucket=1500").up), false);
  assert.equal(isImpaired(parseLink("police=1mbit").up), true);
  assert.equal(isImpaired(parseLink("delay_down=1ms").up), false);
  assert.equal(isImpaired(parseLink("delay_down=1ms").down), true);
});

const refused: [text: string, why: RegExp][] = [
  ["speed=50mbit", /"speed=50mbit": is not known; known are rate/],
  ["rate=50", /units bit kbit mbit gbit/],
  ["delay=ten", /units us ms s/],
  ["loss=150%", /share/],
  ["lose=1;x", /whole number/],
  ["mtu=9000", /from 1280 to 1968/],
  ["rate_sideways=1mbit", /is not known/],
];

for (const [text, why] of refused) {
  test(`link option ${text} is refused`, () => assert.throws(() => parseLink(text), why));
}
