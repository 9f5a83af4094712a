/** The lab's network: what its links do without an emulator, and that nothing of it stays behind. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, run } from "./command.ts";
import { parseLink } from "./link-options.ts";
import { iperf } from "./load/iperf.ts";
import { ping } from "./load/ping.ts";
import { Lab } from "./topology/lab.ts";
import { ADDRESS } from "./topology/names.ts";
import { labIds, STATE_ROOT } from "./topology/remains.ts";

const CLI = fileURLToPath(new URL("lab.js", import.meta.url));

async function withLab(links: readonly string[], use: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await Lab.up({ links: links.map(parseLink) });
  try {
    await use(lab);
  } finally {
    await lab.down();
  }
}

test("two labs stand side by side", async () => {
  await withLab(["rate=50mbit"], (first) =>
    withLab(["rate=50mbit"], async (second) => {
      for (const lab of [first, second]) await lab.direct(1);
      const results = await Promise.all(
        [first, second].flatMap((lab) =>
          ([4, 6] as const).map((family) =>
            ping(lab, { from: "client", to: ADDRESS.server(family), count: 3 }),
          ),
        ),
      );
      for (const { answers } of results) assert.deepEqual(answers, [1, 2, 3]);
    }),
  );
});

test("shapes each direction to its own rate", async () => {
  await withLab(["rate_up=10mbit,rate_down=30mbit"], async (lab) => {
    await lab.direct(1);
    const up = await iperf(lab, { direction: "up", seconds: 3 });
    const down = await iperf(lab, { direction: "down", seconds: 3 });
    assert.ok(up.rate > 8.5e6 && up.rate < 10.2e6, `up ${up.rate}`);
    assert.ok(down.rate > 25e6 && down.rate < 30.6e6, `down ${down.rate}`);
    assert.notEqual(up.control, "unknown");
  });
});

test("changes one direction of a link to another rate while it runs", async () => {
  await withLab(["rate=40mbit"], async (lab) => {
    await lab.direct(1);
    await lab.rate(1, "down", 8e6);
    const down = await iperf(lab, { direction: "down", seconds: 2, omitSeconds: 1 });
    const up = await iperf(lab, { direction: "up", seconds: 2, omitSeconds: 1 });
    assert.ok(down.rate > 6e6 && down.rate < 8.3e6, `down ${down.rate}`);
    assert.ok(up.rate > 30e6, `up ${up.rate}`);
  });
});

test("link devices segment nothing, the client's device does", async () => {
  await withLab([""], async (lab) => {
    const features = async (role: "lp" | "isp1", device: string) =>
      (await lab.exec(role, "ethtool", ["-k", device])).stdout;
    for (const text of [await features("lp", "wan1"), await features("isp1", "rp")]) {
      for (const name of ["tcp-segmentation-offload", "tx-udp-segmentation"]) {
        assert.match(text, new RegExp(`${name}: off`));
      }
    }
    assert.match(await features("lp", "lan"), /tcp-segmentation-offload: on/);
  });
});

test("a narrower link says so to whom its packets are too long", async () => {
  await withLab(["mtu=1400"], async (lab) => {
    await lab.direct(1);
    const send = (size: number) =>
      lab.exec("client", "ping", ["-c1", "-W1", "-Mdo", `-s${size}`, ADDRESS.server(4)], {
        mayFail: true,
      });
    assert.equal((await send(1_372)).code, 0);
    assert.match((await send(1_373)).stdout, /Frag needed.*mtu = 1400/);
  });
});

for (const options of ["nat", "nat,delay=1ms"]) {
  test(`a provider with ${options} shows its own address and lets answers back`, async () => {
    await withLab([options], async (lab) => {
      await lab.direct(1);
      const capture = lab.spawn("server", "tcpdump", ["-nlc1", "--immediate-mode", "icmp"]);
      await capture.saw("listening on", 5_000);
      const { answers } = await ping(lab, { from: "client", to: ADDRESS.server(4), count: 2 });
      assert.deepEqual(answers, [1, 2]);
      assert.ok((await capture.done).stdout.includes(`${ADDRESS.transit(4, 1, 1)} > `));
    });
  });
}

test("nothing gets past a tunnel that does not run", async () => {
  await withLab([""], async (lab) => {
    const { answers } = await ping(lab, { from: "client", to: ADDRESS.server(4), count: 2 });
    assert.deepEqual(answers, []);
  });
});

/** A run of the lab in a group of its own, stopped in the middle of an experiment. */
async function startRun(): Promise<{ readonly child: Child; readonly group: string }> {
  const group = `t${randomBytes(3).toString("hex")}`;
  const args = [CLI, "run", "core-5-two-links", "--transport", "udp"];
  const child = new Child(process.execPath, args, { MPFWD_LAB_GROUP: group });
  await child.saw("without tunnel: TCP", 30_000);
  await sleep(500);
  return { child, group };
}

test("Ctrl-C removes the lab", async () => {
  const { child, group } = await startRun();
  child.signal("SIGINT");
  assert.equal((await child.done).code, 130);
  assert.deepEqual(await labIds(group), []);
});

test("what a killed run left is found and removed", async () => {
  const { child, group } = await startRun();
  child.signal("SIGKILL");
  await child.done;
  const [id = ""] = await labIds(group);
  assert.notEqual(id, "");
  const pids = (await run("ip", ["netns", "pids", `mpfwd-${id}-isp1`])).stdout.trim().split("\n");
  assert.ok(
    pids.every((pid) => Number(pid) > 0),
    "something runs there",
  );
  const { stdout } = await run(process.execPath, [CLI, "down", "--all"], {
    env: { MPFWD_LAB_GROUP: group },
  });
  assert.equal(stdout, `removed ${id}\n`);
  assert.deepEqual(await labIds(group), []);
  assert.equal(existsSync(`${STATE_ROOT}/${id}`), false);
  for (const pid of pids) assert.ok(await ends(pid), `process ${pid} still runs`);
});

/** Gone, or dead and waiting for whoever inherits it to take note. */
async function ends(pid: string): Promise<boolean> {
  for (let look = 0; look < 100; look += 1) {
    try {
      if (/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) return true;
    } catch {
      return true;
    }
    await sleep(50);
  }
  return false;
}

test("an unknown experiment, a wrong link option and a lab that does not stand are refused with exit code 2", async () => {
  for (const args of [
    ["run", "core-9-nothing"],
    ["up", "--link", "speed=1"],
    ["down", "lab-000000", "more"],
    ["down", "lab-000000"],
    ["down", "000000"],
    ["down", "lab/../lab-000000"],
  ]) {
    const { code, stderr } = await run(process.execPath, [CLI, ...args], { mayFail: true });
    assert.equal(code, 2, stderr);
    assert.notEqual(stderr, "");
  }
});
