/**
 * Paths that carry less than Ethernet and do not say so, with a margin for a busy machine; and what inner senders are told,
 * on a machine that filters by reverse path.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { briefContext } from "./experiment.ts";
import { mtu } from "./experiments/mtu.ts";
import { parseLink } from "./link-options.ts";
import { ping } from "./load/ping.ts";
import { Portals } from "./portals.ts";
import { judge, resultText } from "./result.ts";
import { Lab } from "./topology/lab.ts";
import { ADDRESS, FAMILIES, type Family, type Role } from "./topology/names.ts";

const CASES: readonly (readonly [name: string, family: Family])[] = [
  ["shrinks", 6],
  ["shrinks-one-of-two", 4],
  ["device", 4],
  ["unlike-narrow", 4],
];
/** Labs at a time: their links are slow, and most of a case is waiting. */
const LABS = 4;
const INNER = 1_349;
const SETTLE_LIMIT_MS = 5_000;

test("paths of unlike and changing MTU", { concurrency: LABS }, async (suite) => {
  const runs = CASES.map(([name, family]) => {
    const experiment = mtu.find((one) => one.name === `mtu/${name}`);
    assert.ok(experiment !== undefined);
    return suite.test(`over IPv${family}: ${experiment.summary}`, async () => {
      const lines: string[] = [];
      const progress = (text: string) => lines.push(text);
      const figures = await experiment.run({ ...briefContext("auto"), family, progress });
      const result = judge(experiment.name, figures, experiment.demands);
      assert.ok(result.pass, `${resultText(result)}\n${lines.join("\n")}`);
    });
  });
  await Promise.all(runs);
});

let lab: Lab;
let portals: Portals;

before(async () => {
  lab = await Lab.up({ links: [parseLink("delay=5ms,mtu=1400")] });
  for (const role of ["lp", "client"] as const) {
    const strict = ["all", "default"].map((name) => `net.ipv4.conf.${name}.rp_filter=1`);
    await lab.exec(role, "sysctl", ["-q", "-w", ...strict]);
  }
  portals = await Portals.up(lab, { transport: "auto", family: 4, controller: null });
  const limit = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const { peers } = await portals.status("local");
    if (peers[0]?.innerMtu === INNER) return;
    assert.ok(performance.now() < limit, `the inner MTU is ${peers[0]?.innerMtu}`);
    await sleep(50);
  }
});

after(async () => {
  await portals.down();
  await lab.down();
});

async function pathMtu(from: Role, to: string): Promise<number> {
  const { stdout } = await lab.exec(from, "ip", ["route", "get", to]);
  return Number(/mtu (\d+)/.exec(stdout)?.[1]);
}

for (const family of FAMILIES) {
  for (const from of ["client", "lp"] as const) {
    test(`IPv${family}: a sender at the ${from} is told how long its packets may be`, async () => {
      const to = ADDRESS.server(family);
      const long = { from, to, size: 1_380, interval: 0.2, count: 2, whole: true };
      assert.equal((await ping(lab, long)).answers.length, 0);
      assert.equal(await pathMtu(from, to), INNER);
    });
  }
}

test("IPv4 packets that may be cut arrive whole, and so do their answers", async () => {
  const long = { from: "client", to: ADDRESS.server(4), size: 1_400, cut: true } as const;
  await lab.exec("client", "ip", ["route", "flush", "cache"]);
  const { answers } = await ping(lab, { ...long, count: 5 });
  assert.equal(answers.length, 5);
  for (const side of ["local", "remote"] as const) {
    assert.equal((await portals.status(side)).drops["tooLongCut"], 5);
  }
});

test("connections that open through the tunnel need not be told", async () => {
  const server = `require("net").createServer((c) => c.resume()).listen(4711, "::")`;
  const child = lab.spawn("server", process.execPath, ["-e", server]);
  // To an address whose path MTU nobody has learned.
  const client = `const c = require("net").connect(4711, "${ADDRESS.server(4)}", () => {
    const { execFileSync } = require("child_process");
    console.log(execFileSync("ss", ["-tinH", "dport", "=", ":4711"]).toString());
    process.exit();
  }).on("error", () => process.exit(1))`;
  await lab.exec("client", "ip", ["route", "flush", "cache"]);
  let stdout = "";
  for (let tries = 0; stdout === "" && tries < 20; tries += 1) {
    await sleep(50);
    ({ stdout } = await lab.exec("client", process.execPath, ["-e", client], { mayFail: true }));
  }
  await child.end(1_000);
  const mss = Number(/ mss:(\d+)/.exec(stdout)?.[1]);
  assert.ok(mss > 0 && mss <= INNER - 40, `mss ${mss}: ${stdout}`);
});
