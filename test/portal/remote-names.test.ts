/** When names are asked for, and which of their addresses a link takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as settled } from "node:timers/promises";
import { SECOND } from "../../src/core/time.ts";
import type { HostAddress } from "../../src/io/names.ts";
import { RemoteNames } from "../../src/portal/remote-names.ts";
import { linkSockets } from "./links.ts";

const host = (address: string): HostAddress => ({ address, family: address.includes(":") ? 6 : 4 });
const [FIRST, SECOND_ONE, OTHER] = ["2001:db8::1", "192.0.2.1", "192.0.2.9"].map(host) as [
  HostAddress,
  HostAddress,
  HostAddress,
];

/** One link that leads to a name; `answer` null: there is none. */
function scene(remote?: string) {
  const state = {
    ...{ nowUs: 0, silent: true, answer: null as readonly HostAddress[] | null },
    ...{ leads: (_to: HostAddress) => true, asked: 0, told: [] as (string | null)[] },
    said: [] as string[],
  };
  const link = linkSockets(0, remote === undefined ? {} : { remote });
  const names = new RemoteNames({
    links: [link],
    log: { info() {}, warn: (text) => state.said.push(text), error() {} },
    nowUs: () => state.nowUs,
    names: {
      resolve: async () => {
        state.asked += 1;
        if (state.answer === null) throw new Error("no answer");
        return state.answer;
      },
    },
    isSilent: () => state.silent,
    leadsTo: (_link, to) => state.leads(to),
    onAddress: ({ address }) => state.told.push(address),
  });
  /** Second by second. @returns how often the name was asked for */
  const run = async (seconds: number) => {
    const before = state.asked;
    for (let second = 0; second < seconds; second += 1) {
      state.nowUs += SECOND;
      names.tick(state.nowUs);
      await settled();
    }
    return state.asked - before;
  };
  return { state, link, names, run };
}

test("a name without an address is asked for every 5 s, which is said once", async () => {
  const { state, link, names, run } = scene();
  await names.start();
  assert.equal(await run(20), 4);
  assert.deepEqual(state.said.length, 1);
  assert.equal(link.failure, "no answer");
  state.answer = [FIRST];
  await run(5);
  assert.deepEqual(state.told, [FIRST.address]);
  assert.equal(link.failure, undefined);
});

test("a link that is heard is left alone, a silent one asks every 10 s and takes another address", async () => {
  const { state, link, names, run } = scene();
  state.answer = [SECOND_ONE];
  await names.start();
  state.silent = false;
  state.answer = [OTHER];
  assert.equal(await run(60), 0);
  state.silent = true;
  assert.equal(await run(1), 1, "it is long ago");
  assert.equal(link.address, OTHER.address);
  assert.equal(await run(20), 2);
  state.answer = null;
  await run(20);
  assert.equal(link.address, OTHER.address, "the last one known stays");
});

test("of several addresses the first that the link leads to is taken, and kept", async () => {
  const { state, link, names, run } = scene();
  state.answer = [FIRST, SECOND_ONE];
  state.leads = ({ family }) => family === 4;
  await names.start();
  assert.equal(link.address, SECOND_ONE.address);
  state.leads = () => true;
  await run(30);
  assert.equal(link.address, SECOND_ONE.address);
  state.leads = ({ family }) => family === 6;
  await run(30);
  assert.equal(link.address, FIRST.address);
});

test("when its way has changed a name is asked for within a second, at most once a second", async () => {
  const { state, link, names, run } = scene();
  state.answer = [FIRST];
  await names.start();
  state.silent = false;
  await run(3);
  for (let time = 0; time < 5; time += 1) names.hasten(link);
  assert.equal(await run(1), 1);
  assert.equal(await run(5), 0);
});

test("an address that is no name is never asked for", async () => {
  const { names, link, run } = scene("192.0.2.7");
  await names.start();
  names.hasten(link);
  assert.equal(await run(30), 0);
  assert.equal(link.address, "192.0.2.7");
});

test("an answer that comes after the end changes nothing and is not spoken of, nor is its absence", async () => {
  for (const answer of [[FIRST], null]) {
    const { state, link, names } = scene();
    state.answer = answer;
    const asked = names.start();
    names.close();
    await asked;
    assert.equal(link.address, null);
    assert.deepEqual([state.told, state.said], [[], []]);
  }
});
