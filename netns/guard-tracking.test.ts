/**
 * The guard and connection tracking in a real kernel: forged sources leave it empty, its rules are
 * there only where connections are tracked, and firewalls go on seeing what they need. What strangers
 * can do is shown without the guard first.
 */
import assert from "node:assert/strict";
import { readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  binaries,
  configuration,
  forge,
  LIMIT_MS,
  link,
  MESSAGE,
  PORT,
  RAW,
  ROUTER,
  startWith,
  TABLE,
  UDP,
  udp,
} from "./guarded.ts";
import { type Machine, Machines, OUTSIDE, OWN } from "./machine.ts";
import { ipPacket } from "./topology/packets.ts";

/** Longer than a portal looks whether connections are tracked. */
const TRACKING_LOOK_MS = 1300;
const LOOK_AGAIN_MS = 50;
const SOURCES = 1000;

const machines = new Machines();
after(() => machines.end());

/** Another program sends a packet and hears the answer, which makes an entry. */
async function talk(machine: Machine, family: 4 | 6): Promise<void> {
  const ping = ["ping", "-c", "1", "-W", "3", OUTSIDE[family]];
  assert.equal((await machine.spawn(...ping).done).code, 0);
}

/** `SOURCES` packets, each from an address of its own (RFC 2544, RFC 3849). */
function flood(family: 4 | 6, protocol: number, payload: Buffer): Buffer[] {
  return Array.from({ length: SOURCES }, (_, index) => {
    const v4 = `198.18.${index >> 8}.${index & 255}`;
    const from = family === 4 ? v4 : `2001:db8:1::${index.toString(16)}`;
    return ipPacket({ from, to: OWN[family], protocol }, payload);
  });
}

async function tracked(machine: Machine): Promise<number> {
  const path = "/proc/sys/net/netfilter/nf_conntrack_count";
  return Number((await machine.spawn("cat", path).done).stdout);
}

/** A firewall that looks at connections makes the kernel track them. */
const STATEFUL = `table inet firewall {
  chain input {
    type filter hook input priority filter; policy accept;
    meta l4proto ${RAW} ct state established counter accept comment "answer"
    meta l4proto ${RAW} ct state untracked counter accept comment "untracked"
  }
}
`;

// biome-ignore format: a table reads in columns
const floods: [name: string, role: "local" | "remote", packets: Buffer[]][] = [
  ["raw IPv4", "remote", flood(4, RAW, MESSAGE)],
  ["raw IPv6", "remote", flood(6, RAW, MESSAGE)],
  ["UDP",      "remote", flood(4, UDP, udp(1024, PORT))],
  ["raw IPv4", "local",  flood(4, RAW, MESSAGE)],
];
for (const [name, role, packets] of floods) {
  test(`conntrack does not grow under spoofed sources: ${name}, ${role} portal`, async () => {
    const machine = await machines.make();
    await machine.nft(STATEFUL, "-f", "-");
    const bare = await machine.up(configuration(machines, role, false));
    // Neighbours find each other first: the kernel queues few packets for an unknown one.
    for (const family of [4, 6] as const) await talk(machine, family);
    const before = await tracked(machine);
    await forge(machine, packets);
    const grown = (await tracked(machine)) - before;
    assert.ok(
      grown >= SOURCES,
      `without a guard: ${grown} entries more, or this test shows nothing`,
    );
    await bare.end();
    const guarded = await machine.up(configuration(machines, role, true));
    const calm = await tracked(machine);
    await forge(machine, packets);
    assert.ok((await tracked(machine)) <= calm + 2, "with the guard no entry for any of them");
    await guarded.end();
  });
}

/** Names of the chains of the guard, in order. */
async function chains(machine: Machine): Promise<string[]> {
  const text = await machine.nft("", "list", "table", "inet", TABLE);
  return [...text.matchAll(/^\tchain (\w+)/gm)].map(([, name]) => name as string);
}

const STATELESS = ["outside", "icmp4", "icmp6", "too_big4", "too_big6", "raw_in"];
const STATEFUL_TOO = [...STATELESS, "ports_in", "outer_out"];

test("rules for connection tracking come when it begins, and then strangers fill no entry", async () => {
  const machine = await machines.make();
  const portal = await machine.up(configuration(machines, "remote", true));
  await forge(machine, flood(4, RAW, MESSAGE).slice(0, 10));
  await sleep(TRACKING_LOOK_MS);
  assert.deepEqual(await chains(machine), STATELESS, "nothing is tracked, nothing is spent on it");
  await machine.nft(STATEFUL, "-f", "-");
  await forge(machine, [ipPacket({ from: ROUTER[4], to: OWN[4], protocol: RAW }, MESSAGE)]);
  assert.equal(await tracked(machine), 1, "or this test shows nothing");
  const limit = performance.now() + LIMIT_MS;
  while ((await chains(machine)).length === STATELESS.length) {
    assert.ok(performance.now() < limit, "no rules for connection tracking came");
    await sleep(LOOK_AGAIN_MS);
  }
  assert.deepEqual(await chains(machine), STATEFUL_TOO);
  const calm = await tracked(machine);
  await forge(machine, flood(4, RAW, MESSAGE));
  assert.ok((await tracked(machine)) <= calm + 2, "no entry for any of them");
  await machine.nft("", "delete", "table", "inet", "firewall");
  await sleep(TRACKING_LOOK_MS);
  assert.deepEqual(await chains(machine), STATEFUL_TOO, "what is installed stays");
  await portal.end();
  assert.equal(await machine.nft("", "list", "tables"), "");
});

test("when these rules cannot be installed the portal says so once and keeps the others", async () => {
  const machine = await machines.make();
  const bin = await binaries(machines, "ip", "nft");
  const portal = await startWith(machines, machine, bin);
  unlinkSync(join(bin, "nft"));
  await machine.nft(STATEFUL, "-f", "-");
  await forge(machine, [ipPacket({ from: ROUTER[4], to: OWN[4], protocol: RAW }, MESSAGE)]);
  await portal.saw("the guard stays as it is", LIMIT_MS);
  await sleep(TRACKING_LOOK_MS);
  assert.deepEqual(await chains(machine), STATELESS);
  await link(machines, "nft", bin);
  await portal.end();
  const { code, stderr } = await portal.done;
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/the guard stays as it is: .*apt-get/g)?.length, 1, stderr);
  assert.doesNotMatch(await machine.nft("", "list", "tables"), new RegExp(TABLE));
});

test("a TCP port that another program has is left to it, and taken when it is free", async () => {
  const machine = await machines.make();
  const serve = `require("net").createServer().listen(${PORT}, () => console.log("listening"))`;
  const other = machine.spawn(process.execPath, "-e", serve);
  await other.saw("listening", LIMIT_MS);
  await machine.nft(STATEFUL, "-f", "-");
  await talk(machine, 4);
  const portal = await machine.up(configuration(machines, "remote", true));
  const rules = () => machine.nft("", "list", "table", "inet", TABLE);
  const first = await rules();
  assert.match(first, /udp dport 5253/);
  assert.doesNotMatch(first, /tcp [ds]port/, "its connections go on being tracked");
  assert.match(portal.stderr, /port 5253: another program uses it; .*choose another port/);
  await other.end();
  await portal.saw("TCP port 5253 is free now", LIMIT_MS);
  const limit = performance.now() + LIMIT_MS;
  while (!/tcp dport 5253/.test(await rules())) {
    assert.ok(performance.now() < limit, "no rules for TCP came");
    await sleep(LOOK_AGAIN_MS);
  }
  await portal.end();
  const alone = readFileSync(configuration(machines, "remote", true), "utf8");
  const taken = machine.spawn(process.execPath, "-e", serve);
  await taken.saw("listening", LIMIT_MS);
  const text = `${alone}[listen]\ntransports = ["tcp"]\n`;
  const { code, stderr } = await machine.start(machines.file("tcp-alone", text)).done;
  assert.equal(code, 1, "without any other transport nobody would be served");
  assert.match(stderr, /port 5253: another program uses it/);
  await taken.end();
});

test("a Local Portal's remote stays tracked, for firewalls that let in answers only", async () => {
  const machine = await machines.make();
  await machine.nft(STATEFUL, "-f", "-");
  await talk(machine, 4);
  const portal = await machine.up(configuration(machines, "local", true, ROUTER[4]));
  for (const from of [ROUTER[4], "198.18.0.1"]) {
    await forge(machine, [ipPacket({ from, to: OWN[4], protocol: RAW }, MESSAGE)]);
  }
  const seen = await machine.nft("", "list", "table", "inet", "firewall");
  assert.match(seen, /established counter packets 1 .*"answer"/);
  assert.match(seen, /untracked counter packets 1 .*"untracked"/);
  await portal.end();
});

test("a Remote Portal that listens on some addresses leaves what is for others tracked", async () => {
  const machine = await machines.make();
  const other = "192.0.2.3";
  await machine.ip("address", "add", `${other}/24`, "dev", "wan");
  await machine.nft(STATEFUL, "-f", "-");
  await talk(machine, 4);
  const path = configuration(machines, "remote", true);
  const text = `${readFileSync(path, "utf8")}[listen]\naddresses = ["${OWN[4]}"]\n`;
  const portal = await machine.up(machines.file("listening", text));
  const entries: number[] = [];
  for (const to of [OWN[4], other]) {
    const before = await tracked(machine);
    await forge(machine, [ipPacket({ from: ROUTER[4], to, protocol: UDP }, udp(1024, PORT))]);
    entries.push((await tracked(machine)) - before);
  }
  assert.deepEqual(entries, [0, 1]);
  await portal.end();
});
