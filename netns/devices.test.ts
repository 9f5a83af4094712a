/**
 * Devices, addresses and routes that go, change and come back under a Local Portal: it knows at once, tells
 * the other portal over another link, and uses what is there without waiting for a timer.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { briefContext, withLab } from "./experiment.ts";
import { ping } from "./load/ping.ts";
import type { Side } from "./portal-files.ts";
import { Portals } from "./portals.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS, NETWORK, type Role } from "./topology/names.ts";

/** That the kernel told, and not silence, the reasons in the logs show. */
const KNOWN_MS = 1_500;
const LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 10;
/** Routes that come and go at once, as on a router that speaks BGP. */
const ROUTES = 20_000;
/** Of one processor, that the portal may use meanwhile; and while its own routes are gone. */
const CPU_SHARE_MAX = 0.3;
/** A clock tick of `/proc/PID/stat`. */
const TICK_MS = 10;
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
  // In the order of their numbers: the Remote Portal does not know the names.
  return links.map(({ state }) => state);
}

/** Both portals say so, soon. */
async function known(portals: Portals, states: string, limitMs = KNOWN_MS): Promise<void> {
  for (const side of ["local", "remote"] as const) {
    const says = async () => (await statesOf(portals, side)).join() === states;
    await within(limitMs, `the ${side} portal says ${states}`, says);
  }
}

/** Share of one processor that a portal uses during `use`. */
async function cpuShare(pid: number, use: () => Promise<void>): Promise<number> {
  const usedMs = () => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  };
  const [before, begun] = [usedMs(), performance.now()];
  await use();
  return (usedMs() - before) / (performance.now() - begun);
}

const answered = async (lab: Lab) =>
  (await ping(lab, { from: "client", to: ADDRESS.server(4), count: 1 })).answers.length === 1;

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

test("links without a device follow the default route, and an address that changes", () =>
  withLab(context, ["", ""], async (lab) => {
    const portals = await Portals.up(lab, {
      ...{ transport: "auto", links: [1], sourceless: true, deviceless: true },
    });
    const seenFrom = async (address: string) => {
      await within(LIMIT_MS, `the link comes from ${address}`, async () => {
        const remote = (await portals.status("remote")).peers[0]?.links[0]?.remote ?? "";
        return remote.startsWith(address);
      });
      await within(LIMIT_MS, `pings from ${address}`, () => answered(lab));
    };
    await seenFrom(ADDRESS.access(4, 1, 2));
    ip(lab, "lp", "route delete default dev wan1");
    await seenFrom(ADDRESS.access(4, 2, 2));

    const other = "10.100.2.77";
    ip(lab, "rp", `route add ${other}/32 via ${ADDRESS.transit(4, 2, 1)} dev wan2`);
    ip(
      lab,
      "lp",
      `address delete ${ADDRESS.access(4, 2, 2)}/24 dev wan2`,
      `address add ${other}/24 dev wan2`,
      `route add default via ${ADDRESS.access(4, 2, 1)} dev wan2`,
    );
    await seenFrom(other);
    await portals.down();
  }));

test("a flood of routes costs little, and a Remote Portal without a route neither ends nor spins", () =>
  withLab(context, ["", ""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "auto" });
    const networks = Array.from(
      { length: ROUTES },
      (_, index) => `11.${index >> 8}.${index & 255}.0/24`,
    );
    const via = `via ${ADDRESS.access(4, 1, 1)} dev wan1`;
    const share = await cpuShare(portals.pid("local"), async () => {
      ip(lab, "lp", ...networks.map((network) => `route add ${network} ${via}`));
      ip(lab, "lp", ...networks.map((network) => `route delete ${network} ${via}`));
    });
    assert.ok(share < CPU_SHARE_MAX, `the portal used ${share} of a processor`);
    assert.deepEqual(await statesOf(portals, "local"), ["up", "up"]);

    const idle = await cpuShare(portals.pid("remote"), async () => {
      ip(lab, "rp", "link set wan1 down", "link set wan2 down");
      await ping(lab, { from: "server", to: ADDRESS.client(4), count: 50 });
    });
    assert.ok(idle < CPU_SHARE_MAX, `the Remote Portal used ${idle} of a processor`);
    const host = (link: number) =>
      `route add ${ADDRESS.access(4, link, 2)}/32 via ${ADDRESS.transit(4, link, 1)} dev wan${link}`;
    ip(lab, "rp", "link set wan1 up", "link set wan2 up", host(1), host(2));
    await known(portals, "up,up", LIMIT_MS);
    await portals.down();
  }));

test("a portal starts with no link at all, and uses each as it comes, a flapping one when it stops", () =>
  withLab(context, ["", ""], async (lab) => {
    const isp = lab.namespace("isp1");
    ip(lab, "lp", "link delete wan1", "link set wan2 down");
    const portals = await Portals.listen(lab, { transport: "auto" });
    portals.start("local");
    const starts = async () => (await statesOf(portals, "local").catch(() => [])).length === 2;
    await within(LIMIT_MS, "the portal answers", starts);
    assert.match(portals.log("local"), /link1: there is no device wan1; it is waited for/);
    assert.match(portals.log("local"), /link2: its device wan2 is switched off; it is waited for/);

    ip(lab, "lp", "link set wan2 up", ...routes(2));
    await portals.waitPeer("local", LIMIT_MS);
    assert.ok(await answered(lab), "one link is enough");
    ip(
      lab,
      "lp",
      `link add wan1 type veth peer name lp netns ${isp}`,
      `address add ${ADDRESS.access(4, 1, 2)}/24 dev wan1`,
      "link set wan1 up",
    );
    ip(lab, "isp1", `address add ${ADDRESS.access(4, 1, 1)}/24 dev lp`, "link set lp up");
    ip(lab, "isp1", `route add ${NETWORK.client(4)} via ${ADDRESS.access(4, 1, 2)}`);
    ip(lab, "lp", ...routes(1));
    await portals.waitLinks(2, LIMIT_MS);

    const before = portals.log("local").length;
    for (let flap = 0; flap < 20; flap += 1) {
      ip(lab, "isp1", "link set lp down");
      await sleep(50);
      ip(lab, "isp1", "link set lp up");
      await sleep(50);
    }
    const said = portals
      .log("local")
      .slice(before)
      .split("\n")
      .filter((line) => /link1/.test(line));
    assert.ok(said.length > 0 && said.length < 15, said.join("\n"));
    ip(lab, "isp1", `route replace ${NETWORK.client(4)} via ${ADDRESS.access(4, 1, 2)}`);
    await portals.waitLinks(2, 2 * LIMIT_MS);
    await portals.down();
  }));
