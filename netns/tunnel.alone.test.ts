/**
 * The tunnel in the lab: the experiments in short form, with margins that a busy machine keeps, and
 * the silence of a portal towards strangers.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SeededRandom } from "../src/core/random.ts";
import { TYPE } from "../src/wire/preamble.ts";
import { ipHeaderLength, readCapture } from "./capture.ts";
import { briefContext, type Experiment, withLab } from "./experiment.ts";
import { bitExact } from "./experiments/bit-exact.ts";
import { core1Failover } from "./experiments/core-1-failover.ts";
import { core2Bidirectional } from "./experiments/core-2-bidirectional.ts";
import { core5TwoLinks } from "./experiments/core-5-two-links.ts";
import { octetsAdded } from "./experiments/octets-added.ts";
import { ping } from "./load/ping.ts";
import { Portals } from "./portals.ts";
import { type Demand, judge, resultText } from "./result.ts";
import { findExperiments } from "./runner.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS } from "./topology/names.ts";

const TRANSPORTS = ["raw", "udp"] as const;

/** A machine that stands still for a moment makes gaps of its own, and a full socket buffer loses. */
const FAILOVER_DEMANDS: readonly Demand[] = [
  ["tcp_survived", "==", 1],
  ["gap_ms_median", "<=", 300],
  ["gap_ms_worst", "<=", 1_000],
  ["lost", "<=", 5],
  ["duplicated", "==", 0],
];

/** Not what the project promises (that is in the experiments), but what shows that it works. */
const SUITE: readonly (readonly [Experiment, readonly Demand[]])[] = [
  [
    core5TwoLinks,
    [
      ["gain_up", ">=", 1.6],
      ["gain_down", ">=", 1.6],
    ],
  ],
  [core2Bidirectional, [["gain_sum", ">=", 1.1]]],
  ...core1Failover
    .filter(({ name }) => name.endsWith("/half"))
    .map((half) => [half, FAILOVER_DEMANDS] as const),
  [bitExact, bitExact.demands],
  [octetsAdded, octetsAdded.demands],
];

/** Long ones, of which raw is enough. */
const RAW_SUITE: readonly (readonly [name: string, readonly Demand[]])[] = [
  [
    "ext-1-unequal/50+12",
    [
      ["gain_over_best", ">=", 0.85],
      ["of_sum", ">=", 0.7],
    ],
  ],
  ["ext-3-adapts", [["slower_s", "<=", 2.5]]],
  ["fairness/two-tunnels", [["share_min", ">=", 0.1]]],
];

function testExperiment(
  experiment: Experiment,
  demands: readonly Demand[],
  transport: (typeof TRANSPORTS)[number],
): void {
  test(`${experiment.name} over ${transport}`, async () => {
    const figures = await experiment.run(briefContext(transport));
    const result = judge(experiment.name, figures, demands);
    assert.ok(result.pass, resultText(result));
  });
}

for (const transport of TRANSPORTS) {
  for (const [experiment, demands] of SUITE) testExperiment(experiment, demands, transport);
}
for (const [name, demands] of RAW_SUITE) {
  for (const experiment of findExperiments(name)) testExperiment(experiment, demands, "raw");
}

/** Every type with content that nobody signed, at several lengths. */
function forgeries(): Buffer[] {
  const random = new SeededRandom(7);
  return Array.from({ length: 16 }, (_, type) => type).flatMap((type) =>
    [1, 8, 13, 24, 64, 128, 148, 300, 1_200].map((length) => {
      const message = Buffer.from(random.octets(length));
      message[0] = (type << 4) | ((message[0] ?? 0) & 15);
      return message;
    }),
  );
}

/** What the Local Portal really said, each with one bit of its last octet turned. */
function turned(path: string, headers: number): Buffer[] {
  return readCapture(path).map((packet) => {
    const message = Buffer.from(packet.subarray(ipHeaderLength(packet) + headers));
    message[message.length - 1] = (message[message.length - 1] ?? 0) ^ 1;
    return message;
  });
}

async function capture(
  lab: Lab,
  role: "lp" | "isp1",
  device: string,
  name: string,
  filter: string,
) {
  const file = join(lab.stateDirectory, name);
  const to = ["-i", device, "-U", "-Z", "root", "-w", file];
  const child = lab.spawn(role, "tcpdump", ["-n", "--immediate-mode", ...to, filter]);
  await child.saw("listening on", 5_000);
  return { file, end: () => child.end() };
}

for (const transport of TRANSPORTS) {
  test(`a Remote Portal answers no message without a valid tag over ${transport}`, async () => {
    await withLab(briefContext(transport), ["live"], async (lab) => {
      const remote = ADDRESS.remote(4);
      const said = await capture(lab, "lp", "wan1", "said.pcap", `dst host ${remote}`);
      const portals = await Portals.up(lab, { transport });
      await ping(lab, { from: "client", to: ADDRESS.server(4), count: 5 });
      await said.end();
      const genuine = turned(said.file, transport === "udp" ? 8 : 0);
      const types = new Set(genuine.map((message) => (message[0] ?? 0) >> 4));
      for (const type of [TYPE.init, TYPE.attach, TYPE.feedback, TYPE.data]) {
        assert.ok(types.has(type), `no message of type ${type} was captured`);
      }
      const stranger = ADDRESS.transit(4, 1, 1);
      const heard = await capture(lab, "isp1", "rp", "heard.pcap", `dst host ${stranger}`);
      const before = await portals.status("remote");
      const messages = [...forgeries(), ...genuine];
      const script = fileURLToPath(new URL("load/stranger.js", import.meta.url));
      const { stdout } = await lab.exec("isp1", process.execPath, [script, transport, remote], {
        input: messages.map((message) => `${message.toString("hex")}\n`).join(""),
      });
      assert.equal(Number(stdout), messages.length);
      await sleep(500);
      await heard.end();
      const after = await portals.status("remote");
      assert.deepEqual(
        readCapture(heard.file).map((packet) => packet.toString("hex")),
        [],
      );
      const dropped = (drops: Readonly<Record<string, number>>) =>
        Object.values(drops).reduce((sum, count) => sum + count, 0);
      const counted = dropped(after.drops) - dropped(before.drops);
      // The kernel filter drops what cannot be ours before anybody counts it.
      assert.ok(counted >= genuine.length, `${counted} of ${genuine.length} were counted`);
      assert.equal(after.peers.length, before.peers.length);
      assert.equal(after.peers[0]?.links.length, before.peers[0]?.links.length);
      const { answers } = await ping(lab, { from: "client", to: ADDRESS.server(4), count: 5 });
      assert.equal(answers.length, 5);
      await portals.down();
    });
  });
}
