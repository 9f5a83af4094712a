/** The emulator in the kernel: what ping and iperf3 see of what each link was told to do. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseLink } from "./link-options.ts";
import { iperf } from "./load/iperf.ts";
import { type PingResult, ping, quantile } from "./load/ping.ts";
import { Lab } from "./topology/lab.ts";
import { ADDRESS, type Family } from "./topology/names.ts";

const LINKS = {
  delay: "delay=20ms",
  jitter: "delay=20ms,jitter=5ms",
  loss: "loss_up=10%",
  listed: "lose_up=3;7",
  stop: "stop_up=5",
  duplicate: "duplicate_up=100%",
  reorder: "reorder_up=100%,gap=2",
  live: "live",
  policed: "police=8mbit,bucket=60000",
};

let lab: Lab;

before(async () => {
  lab = await Lab.up({ links: Object.values(LINKS).map(parseLink) });
});

after(() => lab.down());

async function pingOver(
  link: keyof typeof LINKS,
  options: { count: number; interval?: number; family?: Family },
): Promise<PingResult> {
  const { family = 4, ...rest } = options;
  await lab.direct(Object.keys(LINKS).indexOf(link) + 1);
  return ping(lab, { from: "client", to: ADDRESS.server(family), ...rest });
}

for (const family of [4, 6] as const) {
  test(`delays IPv${family} packets by what was asked for, each way`, async () => {
    const { times } = await pingOver("delay", { count: 50, family });
    assert.equal(times.length, 50);
    const median = quantile(times, 0.5);
    assert.ok(Math.min(...times) >= 40, `fastest ${Math.min(...times)} ms`);
    assert.ok(median < 43, `median ${median} ms`);
  });
}

test("varies the delay and keeps order", async () => {
  const { times, answers } = await pingOver("jitter", { count: 200, interval: 0.005 });
  const spread = quantile(times, 0.95) - quantile(times, 0.05);
  assert.deepEqual(
    answers,
    [...answers].sort((a, b) => a - b),
  );
  assert.equal(answers.length, 200);
  assert.ok(Math.min(...times) >= 30, `fastest ${Math.min(...times)} ms`);
  assert.ok(spread > 2 && spread < 25, `spread ${spread} ms`);
});

test("loses the share of packets that was asked for and reports each", async () => {
  const { answers } = await pingOver("loss", { count: 600, interval: 0.002 });
  const lost = 600 - answers.length;
  assert.ok(lost > 30 && lost < 100, `lost ${lost} of 600`);
  const report = (await lab.report()).find(({ link }) => link === 3);
  assert.equal(report?.up.dropped.lost, lost);
  assert.equal(report?.up.packets, 600);
});

test("loses exactly the listed packets", async () => {
  const { answers } = await pingOver("listed", { count: 10 });
  assert.deepEqual(answers, [1, 2, 4, 5, 6, 8, 9, 10]);
});

test("stops after its number of packets", async () => {
  const { answers } = await pingOver("stop", { count: 10 });
  assert.deepEqual(answers, [1, 2, 3, 4, 5]);
});

test("duplicates", async () => {
  const { answers } = await pingOver("duplicate", { count: 5 });
  // ping ends with the first copy of its last packet.
  assert.deepEqual(answers.slice(0, 8), [1, 1, 2, 2, 3, 3, 4, 4]);
});

test("lets packets overtake by the gap that was asked for", async () => {
  const wanted = [2, 3, 1, 5, 6, 4, 8, 9, 7];
  let answers: readonly number[] = [];
  // While the machine stands still a packet that is held back leaves early: not three times in a row.
  for (let run = 0; run < 3 && answers.join() !== wanted.join(); run += 1) {
    ({ answers } = await pingOver("reorder", { count: 9, interval: 0.005 }));
  }
  assert.deepEqual(answers, wanted);
});

test("polices to the rate that was asked for", async () => {
  await lab.direct(Object.keys(LINKS).indexOf("policed") + 1);
  const { rate } = await iperf(lab, { direction: "up", seconds: 3, omitSeconds: 1 });
  assert.ok(rate > 2e6 && rate < 8.2e6, `${rate} bit/s`);
  const report = (await lab.report()).find(({ link }) => link === 9);
  assert.ok((report?.up.dropped.policed ?? 0) > 0);
});

test("is cut and restored while it runs, in silence", async () => {
  assert.equal((await pingOver("live", { count: 5 })).answers.length, 5);
  await lab.cut(8);
  assert.equal((await pingOver("live", { count: 5 })).answers.length, 0);
  await lab.restore(8);
  assert.equal((await pingOver("live", { count: 5 })).answers.length, 5);
});

test("carries 4 links of 100 Mbit/s both ways", async () => {
  const links = Array.from({ length: 4 }, () => parseLink("rate=100mbit,delay=10ms"));
  const wide = await Lab.up({ links });
  try {
    const flows = await Promise.all(
      links.flatMap((_, index) =>
        (["up", "down"] as const).map((direction) =>
          iperf(wide, {
            direction,
            seconds: 5,
            port: 5300 + 2 * index + (direction === "up" ? 0 : 1),
            from: "lp",
            to: "rp",
            source: ADDRESS.access(4, index + 1, 2),
            target: ADDRESS.transit(4, index + 1, 2),
          }),
        ),
      ),
    );
    const sum = flows.reduce((total, { rate }) => total + rate, 0) / 1e6;
    // 690 of 760 on two idle cores, where the 16 ends of these flows take most of the time.
    assert.ok(sum > 400, `${sum.toFixed(0)} Mbit/s in all`);
    for (const { up, down } of await wide.report()) {
      assert.equal(up.dropped.overflow + down.dropped.overflow, 0);
    }
  } finally {
    await wide.down();
  }
});
