/** `mpfwd probe` without a network: mistakes in usage, and what is printed of a measurement. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EXIT } from "../../src/cli/exit.ts";
import type { ProbeDocument } from "../../src/cli/probe-json.ts";
import { PROBE_SCHEMA, probeJson } from "../../src/cli/probe-json.ts";
import { type ProbeFlags, readProbe } from "../../src/cli/probe-options.ts";
import { probeText } from "../../src/cli/probe-text.ts";
import { MpfwdError } from "../../src/core/errors.ts";
import { SECOND } from "../../src/core/time.ts";
import { PROBE_EXIT, verdictOf } from "../../src/probe/verdict.ts";
import { type Middlebox, World, type WorldOptions } from "../probe/world.ts";

const directory = mkdtempSync(join(tmpdir(), "mpfwd-probe-"));
after(() => rmSync(directory, { recursive: true }));

const KEY = Buffer.alloc(32, 7).toString("base64");
const ID = "0123456789abcdef";

function file(name: string, text: string, mode = 0o600): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const keyFile = file("client.key", `${KEY}\n${ID}\n`);
const local = file(
  "local.toml",
  `role = "local"
[tunnel]
addresses = ["10.77.0.2/24"]
[peer]
address = "203.0.113.7"
port = 6000
protocol = 254
client_id = "${ID}"
key = "${KEY}"
[[link]]
name = "dsl"
device = "eth1"
[[link]]
name = "lte"
source = "192.0.2.2"
mtu = 1400
`,
);
const plain: ProbeFlags = {
  ...{ listen: false, ipv4: false, ipv6: false, long: false, trace: false, json: false },
};

test("a host is probed with the key and id of a file", () => {
  const wish = readProbe("vpn.example.net", { ...plain, key: keyFile, device: "eth1" });
  assert.equal(Buffer.from(wish.identity.key).toString("base64"), KEY);
  assert.equal(Buffer.from(wish.identity.clientId).toString("hex"), ID);
  assert.deepEqual(wish.links, [
    { name: "eth1", host: "vpn.example.net", mtu: 1500, device: "eth1" },
  ]);
  assert.deepEqual([wish.port, wish.protocol, wish.rate], [5253, 253, 2e6]);
  assert.equal(wish.durationUs, 20 * SECOND);
});

test("a configuration file gives links, key and numbers; options choose among them", () => {
  const all = readProbe(local, plain);
  assert.deepEqual(
    all.links.map(({ name, device, source, mtu }) => [name, device, source, mtu]),
    [
      ["dsl", "eth1", undefined, 1500],
      ["lte", undefined, "192.0.2.2", 1400],
    ],
  );
  assert.deepEqual([all.port, all.protocol], [6000, 254]);
  const one = readProbe(local, { ...plain, link: ["lte"], port: "7000", protocol: "253" });
  assert.deepEqual(
    one.links.map(({ name }) => name),
    ["lte"],
  );
  assert.deepEqual([one.port, one.protocol], [7000, 253]);
});

// biome-ignore format: a table reads in columns
const MISTAKES: readonly [target: string, flags: Partial<ProbeFlags>, says: RegExp][] = [
  ["host", {}, /--key FILE is missing/],
  ["host", { key: join(directory, "none") }, /cannot read .*no such file/],
  ["host", { key: file("open.key", `${KEY}\n${ID}`, 0o644) }, /open to others; mode 0600/],
  ["host", { key: file("bad.key", "short") }, /this is not a key/],
  ["host", { key: file("alone.key", KEY) }, /client id is missing/],
  ["host", { key: keyFile, clientId: "xyz" }, /client id must be 8 octets/],
  ["no host", { key: keyFile }, /target must be/],
  ["host", { key: keyFile, ipv4: true, ipv6: true }, /exclude each other/],
  ["host", { key: keyFile, rate: "1gbit" }, /200kbit to 10mbit/],
  ["host", { key: keyFile, rate: "fast" }, /--rate must be a rate/],
  ["host", { key: keyFile, duration: "5" }, /--duration 5: a whole number from 6/],
  ["host", { key: keyFile, port: "0" }, /--port 0/],
  ["host", { key: keyFile, protocol: "6" }, /--protocol must be/],
  ["host", { key: keyFile, link: ["dsl"] }, /configuration file/],
  [local, { link: ["isdn"] }, /no link "isdn"; there are dsl, lte/],
  [local, { key: keyFile }, /stand in the configuration file/],
  [join(directory, "none.toml"), {}, /no such file/],
];

for (const [index, [target, flags, says]] of MISTAKES.entries()) {
  test(`mistake ${index + 1} in usage is named: ${says.source}`, () => {
    assert.throws(
      () => readProbe(target, { ...plain, ...flags }),
      (error: MpfwdError) =>
        error instanceof MpfwdError && says.test(error.message) && !error.message.includes(KEY),
    );
  });
}

function documentOf(options: Omit<WorldOptions, "seed" | "family">): ProbeDocument {
  const world = new World({ seed: 2, family: 4, ...options });
  if (options.attached !== null) world.run(1200);
  const measurement = world.prober.measurement();
  const verdict = verdictOf(measurement, 253);
  const trace = {
    raw: [{ hops: 1, from: "192.0.2.1", icmp: [11, 0], rttUs: 1500, reached: false }],
    udp: [{ hops: 1, from: "203.0.113.7", icmp: null, rttUs: 2500, reached: true }],
  } as const;
  return {
    ...{ schema: PROBE_SCHEMA, version: "0", port: 5253, protocol: 253, rate: 2e6, seconds: 8 },
    exitCode: verdict.exitCode,
    links: [
      {
        ...{ name: "dsl", device: "eth1", source: null, remote: "203.0.113.7" },
        ...{ measurement, verdict, trace },
      },
    ],
  };
}

const rawDies: Middlebox = ({ transport, otherProtocol }) =>
  transport === "raw" && !otherProtocol ? { icmp: [3, 2] } : "pass";

test("the text has a verdict for each transport and direction, and the line to paste", () => {
  const text = probeText(documentOf({ middlebox: rawDies, long: true }));
  const lines = text.split("\n").map((line) => line.trim());
  const columns = (first: string) => lines.find((line) => line.startsWith(first))?.split(/\s{2,}/);
  assert.deepEqual(columns("verdict"), ["verdict", "blocked", "ok", "ok", "blocked", "ok", "ok"]);
  assert.deepEqual(columns("largest packet"), [
    "largest packet",
    "-",
    "1500",
    "-",
    "-",
    "1500",
    "-",
  ]);
  assert.deepEqual(columns("hops")?.slice(0, 3), ["hops", "-", "6"]);
  assert.match(text, /^ {2}loss at 10\/s +100 % \(\d+ to 100 %\) +0 % \(to \d+ %\)/m);
  assert.match(text, /^ {2}loss at 1000\/s +- +0 % \(to 0\.1 %\)/m);
  assert.match(text, /after 600 s .*portal first too/);
  assert.match(
    text,
    /No address translation: .*udp from 10\.0\.0\.2 is seen as 10\.0\.0\.2, port 40000/,
  );
  assert.match(text, /raw: ICMP 3\/2 from 192\.0\.2\.254, \d+ times/);
  assert.match(text, /^ {2}1 +192\.0\.2\.1 1\.5 ms +203\.0\.113\.7 2\.5 ms portal$/m);
  assert.match(text, /raw IP is last seen at hop 1 \(192\.0\.2\.1\)/);
  assert.match(text, /UDP works both ways; raw IP .* is refused by 192\.0\.2\.254 \(ICMP 3\/2\)/);
  assert.match(text, /The path carries 1500 octets, so TUN MTU 1449\./);
  assert.match(text, /^ {2}\[\[link\]\] transport = "udp"$/m);
});

test("a probe that nobody answers prints no table of nothing", () => {
  const text = probeText(documentOf({ middlebox: () => "drop", attached: null }));
  assert.doesNotMatch(text, /verdict|TUN MTU|\[\[link\]\]/);
  assert.match(text, /No answer by any transport/);
});

/** Every key of an object, deep. */
function keysOf(value: unknown): Set<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...keysOf(item)]));
  if (typeof value !== "object" || value === null) return new Set();
  return new Set(Object.entries(value).flatMap(([key, item]) => [key, ...keysOf(item)]));
}

test("every field of the JSON document is described", () => {
  const document = documentOf({ middlebox: rawDies, long: true });
  const text = probeJson(document);
  assert.equal(text.trimEnd().split("\n").length, 1);
  assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(document)));
  assert.equal(JSON.parse(text).schema, 1);
  const described = readFileSync("docs/commands.md", "utf8");
  for (const key of keysOf(document)) {
    assert.match(
      described,
      new RegExp(`\\b${key}\\b`),
      `${key} stands nowhere in docs/commands.md`,
    );
  }
});

test("the exit codes of a verdict are those of the command line", () => {
  const { raw, udp, tcp, nothing } = PROBE_EXIT;
  const { ok, udpNeeded, tcpNeeded, nothingWorks } = EXIT;
  assert.deepEqual([raw, udp, tcp, nothing], [ok, udpNeeded, tcpNeeded, nothingWorks]);
});
