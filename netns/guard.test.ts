/**
 * The guard against a real kernel: forged ICMP leaves the path MTU of other programs alone, forged
 * sources leave connection tracking empty, and the table leaves with the portal. Each is shown
 * without the guard first.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { INSTANCE, MAIN, type Machine, Machines, OUTSIDE, OWN } from "./machine.ts";
import { checksum, icmpError, ipPacket } from "./topology/packets.ts";

const FORGER = fileURLToPath(new URL("load/forger.js", import.meta.url));
const PORT = 5253;
/** Of a program that is not ours. */
const OTHER_PORT = 6000;
const LIMIT_MS = 10_000;
const RAW = 253;
const SOURCES = 1000;
/** Behind the other end of the cable. */
const ROUTER = { 4: "198.51.100.9", 6: "2001:db8:9::9" } as const;
/** The least that the kernel believes: `min_pmtu`, and RFC 8200 section 5. */
const FORGED_MTU = { 4: 600, 6: 1280 } as const;
const TABLE = `mpfwd_${INSTANCE}`;

const ICMP = 1;
const UDP = 17;
const FRAGMENT = 44;
const ICMPV6 = 58;
const DESTINATION_OPTIONS = 60;

const machines = new Machines();
after(() => machines.end());

const SECRET = `client_id = "0011223344556677"
key = "q1dO2Jg5ZJ4pXoGm0W2m1oW7X5d1m8kQeJ3S0c1nN2s="`;

function configuration(
  role: "local" | "remote",
  guard: boolean,
  remote: string = OUTSIDE[4],
): string {
  const tunnel = `role = "${role}"
[tunnel]
name = "${INSTANCE}"
addresses = ["10.77.0.2/24"]
guard = ${guard}
`;
  const link = (transport: string) =>
    `[[link]]\nname = "${transport}"\nsource = "${OWN[4]}"\ntransport = "${transport}"\n`;
  const rest = {
    local: `[peer]\naddress = "${remote}"\n${SECRET}\n${link("raw")}${link("udp")}`,
    remote: `[[client]]\nname = "home"\n${SECRET}\ninner = ["10.77.0.9"]\n`,
  };
  return machines.file(`${role}-${guard}-${remote}`, tunnel + rest[role]);
}

/** Sends whole packets from the other end of the cable. */
async function forge(machine: Machine, packets: readonly Uint8Array[]): Promise<void> {
  const forger = machine.spawnOutside(process.execPath, FORGER);
  forger.write(packets.map((packet) => Buffer.from(packet).toString("hex")).join("\n"));
  const { stdout, stderr } = await forger.done;
  assert.equal(stdout.trim(), String(packets.length), stderr);
}

const MESSAGE = Buffer.from("9012345600000001", "hex");

function udp(source: number, destination: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(source, 0);
  header.writeUInt16BE(destination, 2);
  header.writeUInt16BE(header.length + MESSAGE.length, 4);
  return Buffer.concat([header, MESSAGE]);
}

/** A packet that this machine might have sent, as a forger quotes it. */
function sent(family: 4 | 6, protocol: number, ...payload: Uint8Array[]): Buffer {
  const fields = { from: OWN[family], to: OUTSIDE[family], protocol };
  return ipPacket(fields, Buffer.concat(payload));
}

/** The same with an IPv4 header of 24 octets: four times the option "no operation". */
function withOptions(packet: Buffer): Buffer {
  const longer = Buffer.concat([packet.subarray(0, 20), Buffer.alloc(4, 1), packet.subarray(20)]);
  longer[0] = 0x46;
  return longer;
}

/** A destination options header that holds padding (RFC 8200 section 4.6). */
const optionsThen = (next: number): Uint8Array => Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0);
const fragmentThen = (next: number, field: number): Uint8Array =>
  Uint8Array.of(next, 0, field >> 8, field & 0xff, 0, 0, 0, 1);

function tooBig(quoted: Buffer): Buffer {
  const family = quoted.readUInt8(0) >> 4 === 4 ? 4 : 6;
  return icmpError({ tag: "too big", mtu: FORGED_MTU[family] }, ROUTER[family], quoted);
}

/** An ICMP message in two fragments: its type in the first, what it quotes in the second. */
function inFragments(packet: Buffer): Buffer[] {
  if (packet.readUInt8(0) >> 4 === 4) {
    const fragment = (at: number, more: number, octets: Buffer) => {
      const whole = ipPacket({ from: ROUTER[4], to: OWN[4], protocol: ICMP }, octets);
      whole.writeUInt16BE((more << 13) | (at / 8), 6);
      whole.writeUInt16BE(0, 10);
      whole.writeUInt16BE(checksum(whole.subarray(0, 20)), 10);
      return whole;
    };
    return [fragment(0, 1, packet.subarray(20, 28)), fragment(8, 0, packet.subarray(28))];
  }
  const fields = { from: ROUTER[6], to: OWN[6], protocol: FRAGMENT };
  const [head, rest] = [packet.subarray(40, 48), packet.subarray(48)];
  return [
    ipPacket(fields, Buffer.concat([fragmentThen(ICMPV6, 1), head])),
    ipPacket(fields, Buffer.concat([fragmentThen(ICMPV6, head.length), rest])),
  ];
}

/** Another program sends a packet that may not be fragmented, and hears the answer. */
async function carries(machine: Machine, family: 4 | 6): Promise<boolean> {
  const size = family === 4 ? "1000" : "1300";
  const ping = ["ping", "-M", "do", "-c", "1", "-W", "3", "-s", size, OUTSIDE[family]];
  return (await machine.spawn(...ping).done).code === 0;
}

async function flush(machine: Machine): Promise<void> {
  for (const family of ["-4", "-6"]) await machine.ip(family, "route", "flush", "cache");
}

const { options, fragment } = { options: DESTINATION_OPTIONS, fragment: FRAGMENT };
const fromUs = udp(PORT, 40_000);
const oneHeader = optionsThen(RAW);
const twoHeaders = [optionsThen(options), oneHeader];
// biome-ignore format: a table reads in columns
const forged: [name: string, role: "local" | "remote", family: 4 | 6, packets: Buffer[]][] = [
  ["a raw packet",                     "remote", 4, [tooBig(sent(4, RAW, MESSAGE))]],
  ["a raw packet",                     "local",  4, [tooBig(sent(4, RAW, MESSAGE))]],
  ["a raw packet with IPv4 options",   "remote", 4, [tooBig(withOptions(sent(4, RAW, MESSAGE)))]],
  ["a raw packet, in fragments itself", "remote", 4, inFragments(tooBig(sent(4, RAW, MESSAGE)))],
  ["a UDP packet",                     "remote", 4, [tooBig(sent(4, UDP, fromUs))]],
  ["a UDP packet with IPv4 options",   "remote", 4, [tooBig(withOptions(sent(4, UDP, fromUs)))]],
  ["a raw packet",                     "remote", 6, [tooBig(sent(6, RAW, MESSAGE))]],
  ["a raw packet behind a header",     "remote", 6, [tooBig(sent(6, options, oneHeader, MESSAGE))]],
  ["a raw packet behind two headers",  "remote", 6, [tooBig(sent(6, options, ...twoHeaders, MESSAGE))]],
  ["a UDP packet",                     "remote", 6, [tooBig(sent(6, UDP, fromUs))]],
  ["a UDP packet behind a header",     "remote", 6, [tooBig(sent(6, options, optionsThen(UDP), fromUs))]],
  ["a first fragment of UDP",          "remote", 6, [tooBig(sent(6, fragment, fragmentThen(UDP, 1), fromUs))]],
  ["a raw packet, in fragments itself", "remote", 6, inFragments(tooBig(sent(6, RAW, MESSAGE)))],
];

for (const role of ["remote", "local"] as const) {
  test(`forged "too big" changes nothing for other programs on the machine of a ${role} portal`, async () => {
    const machine = await machines.make();
    const mine = forged.filter(([, whose]) => whose === role);
    const bare = await machine.up(configuration(role, false));
    for (const [name, , family, packets] of mine) {
      await flush(machine);
      assert.ok(await carries(machine, family), "the path is whole at first");
      await forge(machine, packets);
      const harmed = !(await carries(machine, family));
      assert.ok(
        harmed,
        `${name}, IPv${family}: without a guard it harms, or this test shows nothing`,
      );
    }
    await bare.end();
    await flush(machine);
    const guarded = await machine.up(configuration(role, true));
    for (const [name, , family, packets] of mine) {
      await forge(machine, packets);
      assert.ok(await carries(machine, family), `${name}, IPv${family}: the guard drops it`);
    }
    await guarded.end();
  });
}

test("what was too big of other programs is still heard", async () => {
  const machine = await machines.make();
  const portal = await machine.up(configuration("remote", true));
  assert.ok(await carries(machine, 4));
  const bind = `require("dgram").createSocket("udp4").bind(${OTHER_PORT}, () => console.log("bound"))`;
  const other = machine.spawn(process.execPath, "-e", bind);
  await other.saw("bound", LIMIT_MS);
  await forge(machine, [tooBig(sent(4, UDP, udp(OTHER_PORT, 53)))]);
  assert.ok(!(await carries(machine, 4)), "the kernel was told, and believes it");
  await other.end();
  await portal.end();
});

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
    const bare = await machine.up(configuration(role, false));
    // Neighbours find each other first: the kernel queues few packets for an unknown one.
    for (const family of [4, 6] as const) assert.ok(await carries(machine, family));
    const before = await tracked(machine);
    await forge(machine, packets);
    const grown = (await tracked(machine)) - before;
    assert.ok(
      grown >= SOURCES,
      `without a guard: ${grown} entries more, or this test shows nothing`,
    );
    await bare.end();
    const guarded = await machine.up(configuration(role, true));
    const calm = await tracked(machine);
    await forge(machine, packets);
    assert.ok((await tracked(machine)) <= calm + 2, "with the guard no entry for any of them");
    await guarded.end();
  });
}

test("a Local Portal's remote stays tracked, for firewalls that let in answers only", async () => {
  const machine = await machines.make();
  await machine.nft(STATEFUL, "-f", "-");
  const portal = await machine.up(configuration("local", true, ROUTER[4]));
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
  const path = configuration("remote", true);
  const text = `${readFileSync(path, "utf8")}[listen]\naddresses = ["${OWN[4]}"]\n`;
  const portal = await machine.up(machines.file("listening", text));
  assert.ok(await carries(machine, 4));
  const entries: number[] = [];
  for (const to of [OWN[4], other]) {
    const before = await tracked(machine);
    await forge(machine, [ipPacket({ from: ROUTER[4], to, protocol: UDP }, udp(1024, PORT))]);
    entries.push((await tracked(machine)) - before);
  }
  assert.deepEqual(entries, [0, 1]);
  await portal.end();
});

test("the table of a killed portal is removed at the next start, whatever its name", async () => {
  const machine = await machines.make();
  const before = await machine.shown();
  const killed = await machine.up(configuration("remote", true));
  await machine.nft("table inet mpfwd_other { }\ntable inet mine { }\n", "-f", "-");
  killed.signal("SIGKILL");
  await killed.done;
  assert.match(await machine.nft("", "list", "tables"), new RegExp(TABLE), "or this shows nothing");
  const portal = await machine.up(configuration("remote", false));
  assert.equal(await machine.nft("", "list", "tables"), "table inet mine\n");
  await portal.end();
  assert.match(portal.stderr, new RegExp(`removed the guard that a killed run left: ${TABLE}`));
  await machine.nft("", "delete", "table", "inet", "mine");
  assert.equal(await machine.shown(), before);
});

test("a portal whose guard the kernel refuses says why once and goes on", async () => {
  const machine = await machines.make();
  // A table that another process owns can be changed by nobody else.
  const owner = machine.spawn("sh", "-c", "(cat; sleep 15) | nft -i");
  owner.write(`add table inet ${TABLE} { flags owner; }\n`);
  const limit = performance.now() + LIMIT_MS;
  while (!(await machine.nft("", "list", "tables")).includes(TABLE)) {
    assert.ok(performance.now() < limit, owner.stderr);
  }
  const portal = await machine.up(configuration("remote", true));
  await portal.end();
  const { code, stderr } = await portal.done;
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/no guard: .*not permitted/g)?.length, 1, stderr);
  await owner.end();
});

test("without nft a portal names the package once and goes on", async () => {
  const machine = await machines.make();
  const bin = join(machines.directory, "bin");
  mkdirSync(bin);
  const { stdout } = await machines.children.run("sh", ["-c", "command -v ip"]);
  symlinkSync(stdout.trim(), join(bin, "ip"));
  const portal = machine.spawn(
    ...["env", `PATH=${bin}`, process.execPath, MAIN, "up", configuration("remote", true)],
    ...["--state-directory", machine.state],
  );
  await machine.ready(portal);
  await portal.end();
  const { code, stderr } = await portal.done;
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/no guard: .*apt-get install nftables/g)?.length, 1, stderr);
});
