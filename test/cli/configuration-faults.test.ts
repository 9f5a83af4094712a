/** A configuration file is refused with all its faults, each with its place and what was expected there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf, KEY, LOCAL, onlyFault, REMOTE } from "./configuration-texts.ts";

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
  ["a long device", `${LOCAL}device = "sixteen-letters-"\n`, /up to 15 letters, digits/],
  ...["eth#0", "'eth0'", 'e"th', "eth\\0", "eth 0", "eth\t0", "eth/0", "", "eth0\n"].map(
    (name): [string, string, RegExp] => [
      `a device called ${JSON.stringify(name)}`,
      `${LOCAL}device = ${JSON.stringify(name)}\n`,
      /^f:\d+:\d+: ".*" cannot be a name here\n[\s\S]*ip link set dev OLD name NEW/,
    ],
  ),
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
  [
    "a keepalive that translations do not outlast",
    LOCAL.replace("[peer]", "keepalive = 26\n[peer]"),
    /26 is out of range[\s\S]*1 to 25 seconds/,
  ],
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
