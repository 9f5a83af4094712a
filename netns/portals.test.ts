/**
 * The life of two portals: every kind of carriage, death without a word, goodbye, a peer that is not
 * there, and a client that claims an address that is not his.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TRANSPORTS } from "../src/core/transport.ts";
import { briefContext, withLab } from "./experiment.ts";
import { ping } from "./load/ping.ts";
import type { Side } from "./portal-files.ts";
import { Portals } from "./portals.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS, FAMILIES } from "./topology/names.ts";

const LIMIT_MS = 15_000;
const context = briefContext("raw");
/** ICMP and IP headers. */
const PING_OCTETS = { 4: 28, 6: 48 } as const;

/** Looks until it holds, for as long as a busy machine may need. */
async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    assert.ok(performance.now() < limit, `${what}: not within ${LIMIT_MS} ms`);
    await sleep(50);
  }
}

const answered = async (lab: Lab, count: number) =>
  (await ping(lab, { from: "client", to: ADDRESS.server(4), count })).answers.length;

for (const transport of TRANSPORTS) {
  test(`${transport} over both families, plain and encrypted, carries packets of the full MTU`, () =>
    withLab(context, ["", ""], async (lab) => {
      for (const family of FAMILIES) {
        for (const tunnel of [["tag_octets = 10"], ["encrypt = true"]]) {
          const portals = await Portals.up(lab, { transport, family, tunnel });
          const { mtu } = await portals.status("remote");
          for (const inner of FAMILIES) {
            const size = mtu - PING_OCTETS[inner];
            const to = ADDRESS.server(inner);
            const whole = { from: "client", to, size, whole: true } as const;
            const { answers } = await ping(lab, { ...whole, count: 10 });
            const what = `IPv${inner} over IPv${family}, ${mtu} octets, ${tunnel}`;
            assert.equal(answers.length, 10, what);
          }
          await portals.down();
        }
      }
    }));
}

for (const side of ["remote", "local"] as const satisfies readonly Side[]) {
  test(`the ${side} portal says goodbye, and the other knows at once`, () =>
    withLab(context, [""], async (lab) => {
      const portals = await Portals.up(lab, { transport: "udp" });
      const other = side === "local" ? "remote" : "local";
      await portals.end(side);
      await eventually("the session is over", async () => {
        const [peer] = (await portals.status(other)).peers;
        return peer?.established === false;
      });
      assert.match(portals.log(other), /closed/);
      await portals.down();
    }));
}

test("a Local Portal that nobody answers says what it tried and what may be wrong", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "raw" });
    await portals.kill("remote");
    await portals.end("local");
    portals.start("local");
    await eventually("it says so", () => portals.log("local").includes("no answer"));
    await eventually("it says why", () => portals.log("local").includes("likely:"));
    assert.match(portals.log("local"), /no answer from the Remote Portal for [3-9] s; tried:/);
    assert.match(portals.log("local"), /link1: raw to 10\.30\.0\.1: .*none answered/);
    await portals.down();
  }));

test("a client's packet with a source that is not his goes nowhere", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "raw" });
    await lab.exec("client", "ip", ["address", "add", "10.99.0.1/32", "dev", "lan"]);
    const before = (await portals.status("remote")).drops["sourceDenied"] ?? 0;
    const to = ADDRESS.server(4);
    const { answers } = await ping(lab, { from: "client", to, count: 5, source: "10.99.0.1" });
    assert.deepEqual(answers, []);
    const after = (await portals.status("remote")).drops["sourceDenied"] ?? 0;
    assert.ok(after - before >= 5, `${after - before} were denied`);
    assert.equal(await answered(lab, 5), 5);
    await portals.down();
  }));

test("two Local Portals with one key are named at the Remote Portal, with the mend", () =>
  withLab(context, ["neighbour"], async (lab) => {
    const portals = await Portals.up(lab, { transport: "udp", neighbour: true });
    await portals.end("neighbour");
    // As after copying the machine: the neighbour has the other one's client.
    const secrets = readFileSync(portals.file("local"), "utf8").match(/^(client_id|key) = .*$/gm);
    const own = readFileSync(portals.file("neighbour"), "utf8");
    const [id = "", key = ""] = secrets ?? [];
    const copied = own.replace(/^client_id = .*$/m, id).replace(/^key = .*$/m, key);
    writeFileSync(portals.file("neighbour"), copied);
    portals.start("neighbour");
    await eventually("the log names them", () => portals.log("remote").includes("the same key"));
    assert.match(portals.log("remote"), /lab: used from 10\.\S+ and 10\.\S+ in turn/);
    const { peers } = await portals.status("remote");
    const machines = [ADDRESS.access(4, 1, 2), ADDRESS.neighbour(4, 1, 2)];
    assert.deepEqual([...(peers[0]?.contenders ?? [])].sort(), machines.sort());
    await portals.down();
  }));
