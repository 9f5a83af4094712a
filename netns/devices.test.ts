/**
 * Devices, addresses and routes that go, change and come back under a Local Portal: it knows at once, tells
 * the other portal over another link, and uses what is there without waiting for a timer.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { briefContext, withLab } from "./experiment.ts";
import { ping } from "./load/ping.ts";
import type { Side } from "./portal-files.ts";
import { Portals } from "./portals.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS, NETWORK, type Role } from "./topology/names.ts";

/** An idle link is probed every 15 s: by silence alone nobody would know so soon. */
const KNOWN_MS = 1_500;
const LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 10;
const context = briefContext("auto");

function ip(lab: Lab, role: Role, ...lines: string[]): void {
  const input = lines.map((line) => `${line}\n`).join("");
  execFileSync("ip", ["-n", lab.namespace(role), "-batch", "-"], { input });
}

/** What a provider's client has on his side, after his device came back. */
function routes(link: number): string[] {
  const via = `via ${ADDRESS.access(4, link, 1)} dev wan${link}`;
  const own = `table ${100 + link}`;
  return [`route add default ${via} ${own}`, `route add default ${via} metric ${5000 + link}`];
}

async function within(limitMs: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  const begun = performance.now();
  while (!(await holds())) {
    assert.ok(performance.now() < begun + limitMs, `${what}: not within ${limitMs} ms`);
    await sleep(LOOK_AGAIN_MS);
  }
}

async function statesOf(portals: Portals, side: Side): Promise<string[]> {
  const { peers } = await portals.status(side);
  const links = peers.flatMap((peer) => peer.links);
  // Which of two names a number has differs; the order does not.
  return links.map(({ state }) => state);
}

/** Both portals say so, soon. */
async function known(portals: Portals, states: string, limitMs = KNOWN_MS): Promise<void> {
  for (const side of ["local", "remote"] as const) {
    const says = async () => (await statesOf(portals, side)).join() === states;
    await within(limitMs, `the ${side} portal says ${states}`, says);
  }
}

async function lost(lab: Lab, use: () => Promise<void>): Promise<number> {
  const count = 150;
  const stream = { from: "client", to: ADDRESS.server(4), count } as const;
  const [{ answers }] = await Promise.all([ping(lab, stream), use()]);
  return count - answers.length;
}

// biome-ignore format: a table reads in columns
const losses: [what: string, role: Role, gone: string[], back: string[], why: RegExp][] = [
  ["its carrier", "isp1", ["link set lp down"],
    ["link set lp up", `route replace ${NETWORK.client(4)} via ${ADDRESS.access(4, 1, 2)}`], /wan1 has no carrier/],
  ["its device's power", "lp", ["link set wan1 down"],
    ["link set wan1 up", ...routes(1)], /wan1 is switched off/],
  ["its address", "lp", [`address delete ${ADDRESS.access(4, 1, 2)}/24 dev wan1`],
    [`address add ${ADDRESS.access(4, 1, 2)}/24 dev wan1`, ...routes(1)], /does not have the address/],
  ["its route", "lp", ["route delete default dev wan1", "route delete default table 101"],
    routes(1), /no route to/],
];

test("an idle link that loses what it needs is out at both portals at once, and back at once", () =>
  withLab(context, ["", ""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "auto" });
    for (const [what, role, gone, back, why] of losses) {
      ip(lab, role, ...gone);
      await known(portals, "down,up");
      assert.match(portals.log("local"), why, what);
      assert.match(portals.log("remote"), /link 0 is out, as the other portal says/, what);
      ip(lab, role, ...back);
      await known(portals, "up,up", LIMIT_MS);
    }
    await portals.down();
  }));

test("a device that is deleted and made anew is used again, while the other link goes on", () =>
  withLab(context, ["", ""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "auto", sourceless: true });
    const missing = await lost(lab, async () => {
      ip(lab, "lp", "link delete wan1");
      await known(portals, "down,up");
      ip(
        lab,
        "lp",
        `link add wan1 type veth peer name lp netns ${lab.namespace("isp1")}`,
        `address add ${ADDRESS.access(4, 1, 2)}/24 dev wan1`,
        "link set wan1 up",
      );
      ip(
        lab,
        "isp1",
        `address add ${ADDRESS.access(4, 1, 1)}/24 dev lp`,
        "link set lp up",
        `route add ${NETWORK.client(4)} via ${ADDRESS.access(4, 1, 2)}`,
      );
      ip(lab, "lp", ...routes(1));
      await known(portals, "up,up", LIMIT_MS);
    });
    assert.equal(missing, 0, "pings through the tunnel");
    await portals.down();
  }));
