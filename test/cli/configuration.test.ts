/** A configuration file is taken whole or refused with all its faults, each with its place. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { faultText, type PlacedFault } from "../../src/cli/configuration/fault.ts";
import { judge, type Surroundings } from "../../src/cli/configuration/judge.ts";
import { judgeFile, readConfiguration } from "../../src/cli/configuration.ts";
import { MpfwdError } from "../../src/core/errors.ts";
import type { PortalConfig } from "../../src/portal/config.ts";

const KEY = "q1dO2Jg5ZJ4pXoGm0W2m1oW7X5d1m8kQeJ3S0c1nN2s=";
const OTHER_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";

const LOCAL = `role = "local"
[tunnel]
addresses = ["10.77.0.2/24"]
[peer]
address = "203.0.113.7"
client_id = "0011223344556677"
key = "${KEY}"
[[link]]
name = "dsl"
`;

const REMOTE = `role = "remote"
[tunnel]
addresses = ["10.77.0.1/24"]
[[client]]
name = "one"
client_id = "0011223344556677"
key = "${KEY}"
inner = ["10.77.0.2"]
[[client]]
name = "two"
client_id = "8899aabbccddeeff"
key = "${OTHER_KEY}"
inner = ["10.77.0.3", "192.168.2.0/24"]
`;

const QUIET: Surroundings = {
  exposed: null,
  readKeyFile: () => ({ value: new Uint8Array(32).fill(7) }),
};

function faultsOf(text: string, around = QUIET): readonly PlacedFault[] {
  const judgement = judge(text, around);
  return "faults" in judgement ? judgement.faults : [];
}

function configOf(text: string): PortalConfig {
  const judgement = judge(text, QUIET);
  assert.ok("config" in judgement, JSON.stringify(judgement));
  return judgement.config;
}

/** The only fault of a text, as it is shown. */
function onlyFault(text: string): string {
  const faults = faultsOf(text);
  assert.equal(faults.length, 1, JSON.stringify(faults, null, 1));
  return faultText("f", faults[0] as PlacedFault);
}

test("a short local file is completed with the defaults", () => {
  const config = configOf(LOCAL);
  assert.ok(config.role === "local");
  assert.equal(config.tunnel.name, "mpfwd0");
  assert.equal(config.tunnel.tagOctets, 10);
  assert.equal(config.tunnel.encrypt, false);
  assert.equal(config.tunnel.offload, true);
  assert.equal(config.tunnel.guard, true);
  assert.equal("mtu" in config.tunnel, false);
  assert.deepEqual([config.port, config.protocol], [5253, 253]);
  assert.deepEqual([...config.key], [...Buffer.from(KEY, "base64")]);
  assert.deepEqual([...config.clientId], [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
  assert.deepEqual(config.links, [
    {
      ...{ name: "dsl", remote: "203.0.113.7", transport: "auto" },
      transports: ["raw", "udp", "tcp"],
      ...{ controller: { name: "dtc", compete: true }, dscp: 0, metric: 0, mtu: 1500 },
    },
  ]);
});

test("a remote file listens everywhere and knows its clients", () => {
  const config = configOf(REMOTE);
  assert.ok(config.role === "remote");
  assert.deepEqual([config.listen, config.transports], [[], ["raw", "udp", "tcp"]]);
  assert.deepEqual(
    config.clients.map(({ name, inner }) => [name, ...inner.map(({ text }) => text)]),
    [
      ["one", "10.77.0.2/32"],
      ["two", "10.77.0.3/32", "192.168.2.0/24"],
    ],
  );
});

test("every key of a link reaches the configuration", () => {
  const more = `device = "eth0.7"\nsource = "192.0.2.9"\nremote = "vpn.example.net"\ntransport = "udp"\nmetric = 3\nmtu = 1492\ncontroller = "fixed"\nrate = "2.5mbit"\ndscp = 10\n`;
  const config = configOf(LOCAL + more);
  assert.ok(config.role === "local");
  assert.deepEqual(config.links[0], {
    ...{ name: "dsl", device: "eth0.7", source: "192.0.2.9", remote: "vpn.example.net" },
    ...{ transport: "udp", transports: ["udp"], metric: 3, mtu: 1492, dscp: 10 },
    controller: { name: "fixed", rateBitsPerSecond: 2_500_000 },
  });
});

test("keys last an hour unless the file says less", () => {
  const seconds = (line: string) => {
    const config = configOf(LOCAL.replace("[peer]", `[peer]\n${line}`));
    assert.ok(config.role === "local");
    return config.rekeySeconds;
  };
  assert.equal(seconds(""), 3600);
  assert.equal(seconds("rekey_seconds = 5"), 5);
});

test("what a link may fall back to ends with min_transport", () => {
  const permitted = (more: string) => {
    const config = configOf(LOCAL + more);
    assert.ok(config.role === "local");
    return config.links[0]?.transports;
  };
  assert.deepEqual(permitted('transport = "auto"\nmin_transport = "udp"\n'), ["raw", "udp"]);
  assert.deepEqual(permitted('min_transport = "raw"\n'), ["raw"]);
  assert.deepEqual(permitted('transport = "tcp"\n'), ["tcp"]);
});

test("what [tunnel] says of control and marks holds for links that say nothing else", () => {
  const said = `controller = "cubic"\ndscp = 46\necn = false\nrealtime = "duplicate"\n\n[peer]`;
  const more = `controller = "dtc"\ndscp = 0\n\n[[link]]\nname = "b"\n`;
  const config = configOf(LOCAL.replace("[peer]", said) + more);
  assert.ok(config.role === "local");
  assert.deepEqual(
    config.links.map(({ controller, dscp }) => [controller, dscp]),
    [
      [{ name: "dtc", compete: true }, 0],
      [{ name: "cubic" }, 46],
    ],
  );
  const { ecn, realtime, controller } = config.tunnel;
  assert.deepEqual([ecn, realtime, controller.name], [false, "duplicate", "cubic"]);
});

test("a fault shows its place, the line, a caret, what was expected and what was meant", () => {
  assert.equal(
    onlyFault(LOCAL.replace("address =", "adress =")),
    [
      'f:5:1: unknown key "adress" in [peer]',
      '  5 | adress = "203.0.113.7"',
      "    | ^^^^^^",
      "      expected one of address, port, protocol, client_id, key, key_file, rekey_seconds",
      '      did you mean "address"?',
    ].join("\n"),
  );
});

/** One change to a good file and what is said about it. */
const single: [name: string, text: string, said: RegExp][] = [
  [
    "keys that would last longer than the protocol allows",
    LOCAL.replace("[peer]", "[peer]\nrekey_seconds = 3601"),
    /from 5 to 3600 seconds/,
  ],
  [
    "a role nobody plays",
    LOCAL.replace('"local"', '"locale"'),
    /^f:1:8: .*\n[\s\S]*mean "local"\?/,
  ],
  ["a missing table", LOCAL.replace(/\[tunnel\]\n.*\n/, ""), /^f:1:1: missing key "tunnel"/],
  [
    "a missing key",
    LOCAL.replace(/client_id.*\n/, ""),
    /^f:4:1: missing key "client_id" in \[peer\]/,
  ],
  [
    "no link",
    LOCAL.replace(/\[\[link[\s\S]*/, ""),
    /missing key "link"[\s\S]*one or more \[\[link\]\]/,
  ],
  [
    "a link that is no table",
    `link = 3\n${LOCAL.replace(/\[\[link[\s\S]*/, "")}`,
    /^f:1:8: this is a number/,
  ],
  ["an unknown table", `${LOCAL}[nat]\n`, /^f:10:1: unknown key "nat" in the file/],
  ["a prototype", `${LOCAL}[__proto__]\nx = 1\n`, /unknown key "__proto__"/],
  [
    "a constructor",
    LOCAL.replace("[peer]", "[peer]\nconstructor = 1"),
    /unknown key "constructor"/,
  ],
  ["text for a number", LOCAL.replace("[peer]", '[peer]\nport = "x"'), /^f:5:8: this is text/],
  ["port 0", LOCAL.replace("[peer]", "[peer]\nport = 0"), /0 is out of range[\s\S]*1 to 65535/],
  ["port 65536", LOCAL.replace("[peer]", "[peer]\nport = 65536"), /65536 is out of range/],
  ["half a port", LOCAL.replace("[peer]", "[peer]\nport = 80.5"), /80.5 is out of range/],
  [
    "the protocol of TCP",
    LOCAL.replace("[peer]", "[peer]\nprotocol = 6"),
    /protocol 6 is in use: TCP/,
  ],
  ["the protocol of ESP", LOCAL.replace("[peer]", "[peer]\nprotocol = 50"), /in use: ESP/],
  ["protocol 255", LOCAL.replace("[peer]", "[peer]\nprotocol = 255"), /255 is out of range/],
  [
    "a tag of 9",
    LOCAL.replace("[peer]", "tag_octets = 9\n[peer]"),
    /9 is not known here\n[\s\S]*8, 10, 12, 16/,
  ],
  ["a bad device", `${LOCAL}device = "-x"\n`, /"-x" cannot be a name here/],
  ["a long device", `${LOCAL}device = "sixteen-letters-"\n`, /at most 15 characters/],
  ["a bad name", LOCAL.replace("[tunnel]", '[tunnel]\nname = "Tun0"'), /"Tun0" cannot be a name/],
  ["a transport", `${LOCAL}transport = "upd"\n`, /did you mean "udp"\?/],
  [
    "a fixed transport that falls back",
    `${LOCAL}transport = "raw"\nmin_transport = "udp"\n`,
    /transport = "raw" never falls back\n[\s\S]*transport = "auto" beside it/,
  ],
  ["a controller", `${LOCAL}controller = "bbr"\n`, /"bbr" is not known here/],
  ["a fixed controller without rate", `${LOCAL}controller = "fixed"\n`, /"fixed" without a rate/],
  [
    "a rate for a controller that measures",
    `${LOCAL}rate = "5mbit"\n`,
    /a rate is measured, not set/,
  ],
  ["a rate without unit", `${LOCAL}controller = "fixed"\nrate = "50"\n`, /"50" is not a rate/],
  ["a rate of nothing", `${LOCAL}controller = "fixed"\nrate = "1kbit"\n`, /is out of range/],
  ["a DSCP of seven bits", `${LOCAL}dscp = 64\n`, /64 is out of range/],
  ["MTU 575", LOCAL.replace("[peer]", "mtu = 575\n[peer]"), /575 is out of range[\s\S]*octets/],
  ["MTU 1969", LOCAL.replace("[peer]", "mtu = 1969\n[peer]"), /1969 is out of range/],
  [
    "an MTU too small for IPv6",
    LOCAL.replace("[peer]", 'mtu = 1279\nroutes = ["::/0"]\n[peer]'),
    /^f:4:7: 1279 is too small for IPv6/,
  ],
  ["a lax address", LOCAL.replace("203.0.113.7", "10.1"), /"10.1" is neither an IP address/],
  ["an address with a port", LOCAL.replace("203.0.113.7", "203.0.113.7:80"), /carries a port/],
  [
    "host bits in a route",
    LOCAL.replace("[peer]", 'routes = ["10.0.0.1/8"]\n[peer]'),
    /expected 10.0.0.0\/8/,
  ],
  [
    "a route twice",
    LOCAL.replace("[peer]", 'routes = ["10.0.0.0/8", "10.0.0.0/8"]\n[peer]'),
    /this route stands above/,
  ],
  ["no address", LOCAL.replace('["10.77.0.2/24"]', "[]"), /this list is empty/],
  ["no length", LOCAL.replace("0.2/24", "0.2"), /has no prefix length/],
  ["a second link of one name", `${LOCAL}[[link]]\nname = "DSL"\n`, /^f:11:8: a link of this name/],
  [
    "more links than there are numbers",
    `${LOCAL}${Array.from({ length: 16 }, (_, at) => `[[link]]\nname = "l${at}"\n`).join("")}`,
    /more than 16 entries/,
  ],
  [
    "a source of the other family",
    `${LOCAL}source = "::1"\n`,
    /the source is IPv6, the remote address IPv4/,
  ],
  ["a short client id", LOCAL.replace("0011223344556677", "0011"), /this is not a client id/],
  ["no key", LOCAL.replace(/key = .*\n/, ""), /^f:4:1: \[peer\] has no key/],
  [
    "two keys",
    LOCAL.replace("key =", 'key_file = "x"\nkey ='),
    /\[peer\] has both key and key_file/,
  ],
  ["a short key", LOCAL.replace(KEY, "c2hvcnQ="), /this is not a key/],
  ["a lax key", LOCAL.replace(KEY, ` ${KEY}`), /this is not a key/],
  ["a key of zeros", LOCAL.replace(KEY, `${"A".repeat(43)}=`), /a key of zeros/],
  ["a client twice", REMOTE.replace('"two"', '"one"'), /a client of this name stands above/],
  ["an id twice", REMOTE.replace("8899aabbccddeeff", "0011223344556677"), /a client of this id/],
  [
    "overlapping clients",
    REMOTE.replace("10.77.0.3", "10.77.0.2/31"),
    /10.77.0.2\/31 overlaps 10.77.0.2\/32 of another/,
  ],
  [
    "the portal's own address",
    REMOTE.replace("10.77.0.3", "10.77.0.0/31"),
    /contains this portal's own address/,
  ],
  ["no transport", `${REMOTE}[listen]\ntransports = []\n`, /this list is empty/],
  ["TOML of another kind", LOCAL.replace("[peer]", "[peer"), /^f:4:\d+: this is not TOML: /],
  [
    "a key given twice",
    LOCAL.replace("[peer]", '[peer]\naddress = "x"'),
    /^f:6:\d+: this is not TOML: /,
  ],
];
for (const [name, text, said] of single) {
  test(`${name} is one fault`, () => assert.match(onlyFault(text), said));
}

test("all faults are reported in one run, in the order of the file", () => {
  const text = `role = "local"
[tunel]
name = 5
[peer]
port = 0
protocol = 1
key = 3
[[link]]
transport = "x"
mtu = 1
`;
  const places = faultsOf(text).map(({ line, what }) => `${line} ${what}`);
  assert.deepEqual(places, [
    '2 unknown key "tunel" in the file',
    '4 missing key "address" in [peer]',
    '4 missing key "client_id" in [peer]',
    "5 0 is out of range",
    "6 protocol 1 is in use: ICMP",
    "7 this is a number",
    '8 missing key "name" in [[link]]',
    '9 "x" is not known here',
    "10 1 is out of range",
  ]);
});

test("an exposed file is a fault for every key in it", () => {
  const exposed = { what: "open to others", expected: "chmod 600 f" };
  const faults = faultsOf(REMOTE, { ...QUIET, exposed });
  assert.deepEqual(
    faults.map(({ line, what, expected }) => [line, what, expected]),
    [
      [7, exposed.what, exposed.expected],
      [12, exposed.what, exposed.expected],
    ],
  );
});

test("a key never appears in what is said about a file that carries it", () => {
  const lines = LOCAL.split("\n");
  const edit = fc.tuple(fc.nat(lines.length), fc.string({ maxLength: 6 }), fc.nat(60));
  const spoil = (text: string, [line, extra, at]: [number, string, number]) => {
    const rows = text.split("\n");
    const row = rows[line] ?? "";
    // The key itself stays whole: a cut key is no key.
    const place = row.includes(KEY) ? Math.min(at, row.indexOf(KEY)) : at;
    rows[line] = row.slice(0, place) + extra + row.slice(place);
    return rows.join("\n");
  };
  let faulty = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      const faults = faultsOf(edits.reduce(spoil, LOCAL));
      faulty += faults.length;
      for (const fault of faults) assert.ok(!faultText("f", fault).includes(KEY.slice(0, 40)));
    }),
    { numRuns: 1000 },
  );
  assert.ok(faulty > 500, `only ${faulty} faults were seen`);
});

const misplaced = [
  LOCAL.replace("key =", "kye ="),
  LOCAL.replace('"dsl"', `"${KEY}"`),
  LOCAL.replace("key =", "key ").replace("client_id", "client id"),
  LOCAL.replace(`"${KEY}"`, `"${KEY.slice(0, 20)}`),
  LOCAL.replace("0011223344556677", KEY),
  LOCAL.replace("203.0.113.7", KEY),
];
for (const [number, text] of misplaced.entries()) {
  test(`a key in the wrong place is covered (${number + 1})`, () => {
    const shown = faultsOf(text).map((fault) => faultText("f", fault));
    assert.ok(shown.length > 0);
    assert.ok(!shown.join("\n").includes(KEY.slice(0, 12)), shown.join("\n"));
  });
}

const directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string | Buffer, mode: number): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function refusal(path: string): string {
  let message = "";
  assert.throws(
    () => readConfiguration(path),
    (error) => {
      assert.ok(error instanceof MpfwdError && error.code === "ERR_CONFIG");
      message = error.message;
      return true;
    },
  );
  return message;
}

test("a file with a key that others may read is refused with the command that mends it", () => {
  for (const mode of [0o640, 0o604, 0o644]) {
    const path = file("open.toml", LOCAL, mode);
    assert.match(refusal(path), new RegExp(`chmod 600 ${path}`));
  }
  assert.equal(readConfiguration(file("mine.toml", LOCAL, 0o600)).role, "local");
});

test("a key may stand in a file of its own, relative to the configuration", () => {
  const text = LOCAL.replace(`key = "${KEY}"`, 'key_file = "client.key"');
  const path = file("split.toml", text, 0o644);
  const key = file("client.key", `${KEY}\n`, 0o600);
  const config = readConfiguration(path);
  assert.ok(config.role === "local");
  assert.deepEqual([...config.key], [...Buffer.from(KEY, "base64")]);
  chmodSync(key, 0o640);
  assert.match(refusal(path), new RegExp(`the key file is open to others(.|\\n)*chmod 600 ${key}`));
  file("client.key", `${KEY}${KEY}`, 0o600);
  assert.match(refusal(path), /the key file is wrong/);
  rmSync(key);
  assert.match(refusal(path), /cannot read the key file: no such file/);
});

const unreadable: [name: string, path: string, said: RegExp][] = [
  ["that is missing", join(directory, "none.toml"), /no such file/],
  ["that is a directory", directory, /it is a directory/],
  ["that is no text", file("binary", Buffer.from([0xff, 0xfe, 0]), 0o600), /not UTF-8/],
  ["without end", "/dev/zero", /longer than/],
];
for (const [name, path, said] of unreadable) {
  test(`a file ${name} is refused`, () => assert.match(refusal(path), said));
}

for (const name of ["local.toml", "remote.toml", "remote-two-clients.toml"]) {
  test(`the example ${name} is valid once it has keys`, () => {
    const judgement = judgeFile(`docs/examples/${name}`);
    const faults = "faults" in judgement ? judgement.faults : [];
    // The examples name key files that do not exist here; nothing else is wrong with them.
    assert.deepEqual(
      faults.filter(({ what }) => !/no such file/.test(what)),
      [],
    );
  });
}

test("the files in the operator's description are valid", () => {
  const manual = readFileSync("docs/configuration.md", "utf8");
  const blocks = [...manual.matchAll(/```toml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  assert.deepEqual(
    blocks.map((block) => configOf(block).role),
    ["local", "remote"],
  );
});
