/**
 * The guard against a real kernel: forged ICMP leaves the path MTU of other programs alone, which is
 * shown without the guard first, and the table leaves with the portal.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  binaries,
  configuration,
  forge,
  LIMIT_MS,
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
import { checksum, icmpError, ipPacket } from "./topology/packets.ts";

/** Of a program that is not ours. */
const OTHER_PORT = 6000;
/** The least that the kernel believes: `min_pmtu`, and RFC 8200 section 5. */
const FORGED_MTU = { 4: 600, 6: 1280 } as const;

const ICMP = 1;
const FRAGMENT = 44;
const ICMPV6 = 58;
const DESTINATION_OPTIONS = 60;

const machines = new Machines();
after(() => machines.end());

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
  const ping = ["ping", "-M", "do", "-c", "1", "-W", "1", "-s", size, OUTSIDE[family]];
  return (await machine.spawn(...ping).done).code === 0;
}

/** The kernel has learned a path MTU for all programs. */
async function believes(machine: Machine, family: 4 | 6): Promise<boolean> {
  return (await machine.ip("route", "get", OUTSIDE[family])).includes(`mtu ${FORGED_MTU[family]}`);
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
    const bare = await machine.up(configuration(machines, role, false));
    for (const [name, , family, packets] of mine) {
      await flush(machine);
      assert.ok(await carries(machine, family), "the path is whole at first");
      await forge(machine, packets);
      const harmed = await believes(machine, family);
      assert.ok(
        harmed,
        `${name}, IPv${family}: without a guard it harms, or this test shows nothing`,
      );
    }
    await bare.end();
    await flush(machine);
    const guarded = await machine.up(configuration(machines, role, true));
    for (const [name, , family, packets] of mine) {
      await forge(machine, packets);
      assert.ok(await carries(machine, family), `${name}, IPv${family}: the guard drops it`);
    }
    await guarded.end();
  });
}

test("what was too big of other programs is still heard", async () => {
  const machine = await machines.make();
  const portal = await machine.up(configuration(machines, "remote", true));
  assert.ok(await carries(machine, 4));
  const bind = `require("dgram").createSocket("udp4").bind(${OTHER_PORT}, () => console.log("bound"))`;
  const other = machine.spawn(process.execPath, "-e", bind);
  await other.saw("bound", LIMIT_MS);
  await forge(machine, [tooBig(sent(4, UDP, udp(OTHER_PORT, 53)))]);
  assert.ok(!(await carries(machine, 4)), "the kernel was told, and believes it");
  await other.end();
  await portal.end();
});

test("the table of a killed portal is removed at the next start, whatever its name", async () => {
  const machine = await machines.make();
  const before = await machine.shown();
  const killed = await machine.up(configuration(machines, "remote", true));
  await machine.nft("table inet mpfwd_other { }\ntable inet mine { }\n", "-f", "-");
  killed.signal("SIGKILL");
  await killed.done;
  assert.match(await machine.nft("", "list", "tables"), new RegExp(TABLE), "or this shows nothing");
  const portal = await machine.up(configuration(machines, "remote", false));
  assert.equal(await machine.nft("", "list", "tables"), "table inet mine\n");
  await portal.end();
  assert.match(portal.stderr, new RegExp(`removed the guard that a killed run left: ${TABLE}`));
  await machine.nft("", "delete", "table", "inet", "mine");
  assert.equal(await machine.shown(), before);
});

test("a portal whose guard the kernel refuses says why once and goes on", async () => {
  const machine = await machines.make();
  // A table that another process owns can be changed by nobody else.
  const owner = machine.spawn("sh", "-c", "(cat; exec setpriv --pdeathsig KILL sleep 15) | nft -i");
  owner.write(`add table inet ${TABLE} { flags owner; }\n`);
  const limit = performance.now() + LIMIT_MS;
  while (!(await machine.nft("", "list", "tables")).includes(TABLE)) {
    assert.ok(performance.now() < limit, owner.stderr);
  }
  const portal = await machine.up(configuration(machines, "remote", true));
  await portal.end();
  const { code, stderr } = await portal.done;
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/no guard: .*not permitted/g)?.length, 1, stderr);
  await owner.end();
});

test("without nft a portal names the package once and goes on", async () => {
  const machine = await machines.make();
  const portal = await startWith(machines, machine, await binaries(machines, "ip"));
  await portal.end();
  const { code, stderr } = await portal.done;
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/no guard: .*apt-get install nftables/g)?.length, 1, stderr);
});
