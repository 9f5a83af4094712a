/** The commands as a user runs them: output, exit codes, and files. Needs no privilege. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readConfiguration } from "../../src/cli/configuration.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
after(() => rmSync(directory, { recursive: true }));

function mpfwd(...args: string[]): { code: number | null; out: string; err: string } {
  const options = { encoding: "utf8", timeout: 20_000, cwd: directory } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], options);
  return { code: status, out: stdout, err: stderr };
}

function fresh(): string {
  return mkdtempSync(join(directory, "init-"));
}

const INIT = ["init", "--remote", "203.0.113.7", "--link", "dsl,device=eth1"];

const usage: [name: string, args: string[], said: RegExp][] = [
  ["no command", [], /Usage: mpfwd/],
  ["an unknown command", ["upp"], /unknown command 'upp'[\s\S]*Did you mean up/],
  ["an unknown option", ["up", "--frce", "x"], /unknown option '--frce'/],
  ["a missing argument", ["check"], /missing required argument 'file'/],
  ["a missing file", ["check", "none.toml"], /cannot read none.toml: no such file/],
  ["up without a file", ["up", "none.toml"], /cannot read none.toml: no such file/],
  ["init without a remote", ["init", "--link", "a"], /--remote is missing/],
  ["init without a link", ["init", "--remote", "a"], /--link is missing/],
  ["a bad remote", ["init", "--remote", "10.1", "--link", "a"], /--remote: "10.1" is neither/],
  ["a bad port", [...INIT, "--port", "x"], /--port: /],
  ["a protocol in use", [...INIT, "--protocol", "17"], /--protocol: protocol 17 is in use: UDP/],
  ["a bad network", [...INIT, "--network", "10.0.0.1/24"], /--network: [\s\S]*10.0.0.0\/24/],
  ["a network too small", [...INIT, "--network", "10.0.0.0/31"], /no room for two portals/],
  [
    "a link's key",
    ["init", "--remote", "a", "--link", "a,devise=x"],
    /unknown "devise"; did you mean device/,
  ],
  ["a link's value", ["init", "--remote", "a", "--link", "a,mtu=x"], /--link a,mtu=x: mtu must be/],
  ["two links of one name", [...INIT, "dsl"], /a link of this name stands above/],
  ["a capture without a file", ["capture"], /missing required argument 'pcap'/],
  ["a size that is none", ["capture", "a.pcap", "--size", "0"], /octets, such as 500 or 10M/],
  ["a size of letters", ["capture", "a.pcap", "--size", "1m"], /octets, such as 500 or 10M/],
  ["a snap too long", ["capture", "a.pcap", "--snap", "65536"], /octets, at most 65535/],
  ["a capture of no time", ["capture", "a.pcap", "--duration", "0"], /seconds, at most/],
  ["add to nothing", [...INIT, "--add-to", "none.toml"], /cannot read none.toml/],
];
for (const [name, args, said] of usage) {
  test(`${name} is a mistake of usage: exit code 2, said on standard error`, () => {
    const { code, out, err } = mpfwd(...args);
    assert.match(err, said);
    assert.equal(out, "");
    assert.equal(code, 2);
  });
}

test("a usage mistake of init writes nothing", () => {
  const own = fresh();
  assert.equal(mpfwd(...INIT, "dsl", "--out", own).code, 2);
  assert.deepEqual(readdirSync(own), []);
});

test("version and help go to standard output, exit code 0", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  assert.deepEqual(mpfwd("--version"), { code: 0, out: `${version}\n`, err: "" });
  for (const command of ["init", "genkey", "check", "up", "status", "capture"]) {
    const { code, out } = mpfwd(command, "--help");
    assert.equal(code, 0);
    assert.match(out, /Examples?:\n {2}.*mpfwd/, command);
  }
});

test("genkey prints a new key each time, and a client id when asked", () => {
  const [first, second] = [mpfwd("genkey", "--client-id"), mpfwd("genkey")];
  const [key, id] = first.out.split("\n");
  assert.equal(Buffer.from(key ?? "", "base64").length, 32);
  assert.match(id ?? "", /^[0-9a-f]{16}$/);
  assert.match(second.out, /^[A-Za-z0-9+/]{43}=\n$/);
  assert.notEqual(second.out, `${key}\n`);
});

test("status is exit code 3 when nothing runs", () => {
  for (const args of [[], ["mpfwd0"], ["mpfwd0", "--json"]]) {
    const { code, out, err } = mpfwd("status", ...args, "--state-directory", directory);
    assert.deepEqual([code, out], [3, ""]);
    assert.match(err, /no portal runs|is not running/);
  }
});

test("init writes two files that fit each other, for their owner only", () => {
  const own = fresh();
  const { code, out } = mpfwd(
    ...["init", "--remote", "vpn.example.net", "--link", "dsl,device=eth1", "lte,transport=udp"],
    ...["--network", "10.9.0.0/24", "fd09::/64", "--lan", "192.168.1.0/24"],
    ...["--routes", "0.0.0.0/0", "--port", "4000", "--protocol", "254", "--out", own],
  );
  assert.equal(code, 0);
  assert.match(out, /sudo mpfwd up/);
  const local = readConfiguration(join(own, "local.toml"));
  const remote = readConfiguration(join(own, "remote.toml"));
  assert.ok(local.role === "local" && remote.role === "remote");
  const [client] = remote.clients;
  assert.deepEqual(client?.key, local.key);
  assert.deepEqual(client?.clientId, local.clientId);
  assert.deepEqual([local.port, local.protocol], [remote.port, remote.protocol]);
  const texts = (prefixes: readonly { text: string }[] = []) => prefixes.map(({ text }) => text);
  assert.deepEqual(texts(local.tunnel.addresses), ["10.9.0.2/24", "fd09::2/64"]);
  assert.deepEqual(texts(remote.tunnel.addresses), ["10.9.0.1/24", "fd09::1/64"]);
  assert.deepEqual(texts(client?.inner), ["10.9.0.2/32", "fd09::2/128", "192.168.1.0/24"]);
  assert.deepEqual(
    local.links.map(({ name, device, transport }) => [name, device, transport]),
    [
      ["dsl", "eth1", "auto"],
      ["lte", undefined, "udp"],
    ],
  );
  for (const name of readdirSync(own)) {
    assert.equal(statSync(join(own, name)).mode & 0o777, 0o600, name);
  }
  assert.deepEqual(readdirSync(own).sort(), ["local.toml", "remote.toml"]);
});

test("init overwrites nothing, and writes nothing where one file is in the way", () => {
  const own = fresh();
  writeFileSync(join(own, "remote.toml"), "mine");
  const refused = mpfwd(...INIT, "--out", own);
  assert.equal(refused.code, 2);
  assert.match(refused.err, /remote.toml exists; --force overwrites it/);
  assert.deepEqual(readdirSync(own), ["remote.toml"]);
  assert.equal(readFileSync(join(own, "remote.toml"), "utf8"), "mine");
  assert.equal(mpfwd(...INIT, "--out", own, "--force").code, 0);
  assert.deepEqual(readdirSync(own).sort(), ["local.toml", "remote.toml"]);
  assert.equal(readConfiguration(join(own, "remote.toml")).role, "remote");
});

test("a second client gets the next free address and the file's own port", () => {
  const own = fresh();
  assert.equal(mpfwd(...INIT, "--port", "4000", "--out", own).code, 0);
  const file = join(own, "remote.toml");
  const before = readFileSync(file, "utf8");
  const add = (client: string) =>
    mpfwd(...INIT, "--out", own, "--add-to", file, "--client", client);
  assert.match(add("office").out, /Added client office with 10.77.0.3\/32/);
  assert.match(add("shop").out, /10.77.0.4\/32/);
  assert.ok(readFileSync(file, "utf8").startsWith(before), "what stood there stands there");
  const remote = readConfiguration(file);
  const office = readConfiguration(join(own, "office.toml"));
  assert.ok(remote.role === "remote" && office.role === "local");
  assert.deepEqual(
    remote.clients.map(({ name }) => name),
    ["client1", "office", "shop"],
  );
  assert.deepEqual(remote.clients[1]?.key, office.key);
  assert.equal(office.port, 4000);
  const again = add("office");
  assert.equal(again.code, 2);
  assert.match(again.err, /a client of this name stands above/);
});

test("check shows what a file says, and never its key", () => {
  const own = fresh();
  mpfwd(...INIT, "--out", own);
  for (const name of ["local.toml", "remote.toml"]) {
    const file = join(own, name);
    const key = /key = "(.*)"/.exec(readFileSync(file, "utf8"))?.[1] ?? "none";
    const { code, out } = mpfwd("check", file);
    assert.equal(code, 0);
    assert.match(out, /is valid[\s\S]*10\.77\.0\./);
    const json = mpfwd("check", "--json", file);
    const { valid, config } = JSON.parse(json.out) as { valid: boolean; config: { role: string } };
    assert.deepEqual([valid, `${config.role}.toml`], [true, name]);
    assert.ok(!out.includes(key) && !json.out.includes(key));
  }
});

test("check gives faults as JSON when asked, exit code 2", () => {
  const file = join(fresh(), "bad.toml");
  writeFileSync(file, 'role = "local"\nnmae = 1\n');
  chmodSync(file, 0o600);
  const { code, out, err } = mpfwd("check", "--json", file);
  assert.deepEqual([code, err], [2, ""]);
  const { valid, faults } = JSON.parse(out) as { valid: boolean; faults: { line: number }[] };
  assert.equal(valid, false);
  assert.deepEqual(
    faults.map(({ line }) => line),
    [1, 1, 1, 2],
  );
});

test("a dry run prints the commands and changes nothing, without privilege", () => {
  const own = fresh();
  mpfwd(...INIT, "--out", own, "--routes", "10.0.0.0/8", "--name", "drytun0");
  mkdirSync(join(own, "state"));
  const { code, out } = mpfwd(
    ...["up", "--dry-run", join(own, "local.toml"), "--state-directory", join(own, "state")],
  );
  assert.equal(code, 0);
  assert.match(out, /^ip link set dev drytun0 mtu 14\d\d/m);
  assert.match(out, /^ip address add 10.77.0.2\/24 dev drytun0$/m);
  assert.match(out, /^ip route add 10.0.0.0\/8 dev drytun0 proto 153$/m);
  assert.match(out, /^ip route delete 10.0.0.0\/8 dev drytun0 proto 153$/m);
  assert.deepEqual(readdirSync(join(own, "state")), []);
});

test("a capture where no portal runs leaves no file: exit code 3", () => {
  const own = fresh();
  const file = join(own, "a.pcap");
  const { code, err } = mpfwd("capture", file, "--state-directory", own);
  assert.equal(code, 3);
  assert.match(err, /no portal runs/);
  assert.match(mpfwd("capture", file, "home", "--state-directory", own).err, /home is not running/);
  assert.deepEqual(readdirSync(own), []);
});
