/** scripts/mpfwd.lua on a capture of the test vectors, through tshark. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CARRIES_NONE, encodeHello, HELLO_OCTETS } from "../src/wire/hello.ts";
import { encodeLinkState } from "../src/wire/link-state.ts";
import { encodePmtuAnswer } from "../src/wire/pmtu.ts";
import { octetsOf, readVectors } from "./session/vectors.ts";

const TCP = 6;
const UDP = 17;
const MPFWD = 253;
const PORT = 5253;
/** Packets begin with their IP header. */
const LINKTYPE_RAW = 101;

const { messages, data } = readVectors();
const message = (name: string) => octetsOf(messages[name] ?? assert.fail(`no vector ${name}`));

/** A pcap file (version 2.4, microseconds, big-endian), one packet a second. */
function pcapOf(packets: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32BE(0xa1b2c3d4, 0);
  head.writeUInt16BE(2, 4);
  head.writeUInt16BE(4, 6);
  head.writeUInt32BE(65535, 16);
  head.writeUInt32BE(LINKTYPE_RAW, 20);
  const records = packets.map((packet, second) => {
    const record = Buffer.alloc(16);
    record.writeUInt32BE(second, 0);
    record.writeUInt32BE(packet.length, 8);
    record.writeUInt32BE(packet.length, 12);
    return Buffer.concat([record, packet]);
  });
  return Buffer.concat([head, ...records]);
}

function ipv4(protocol: number, payload: Uint8Array): Uint8Array {
  const header = Buffer.from("450000000000400040000000c0000201c6336401", "hex");
  header.writeUInt16BE(20 + payload.length, 2);
  header[9] = protocol;
  return Buffer.concat([header, payload]);
}

function ipv6(protocol: number, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = protocol;
  header[7] = 64;
  header[23] = 1;
  header[39] = 2;
  return Buffer.concat([header, payload]);
}

function udp(payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(40000, 0);
  header.writeUInt16BE(PORT, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** `octets` of a connection from `seq` on. */
function tcp(from: number, seq: number, octets: Uint8Array): Uint8Array {
  const header = Buffer.from("9c40148500000000000000005018040000000000", "hex");
  header.writeUInt16BE(from, 0);
  header.writeUInt32BE(seq, 4);
  return Buffer.concat([header, octets]);
}

/** A message behind its length, as on TCP. */
function framed(octets: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(octets.length >> 8, octets.length & 0xff), octets]);
}

/** One row of the asked fields a packet; a field that occurs several times has commas. */
function dissect(packets: readonly Uint8Array[], fields: string[], ...options: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "mpfwd-dissector-"));
  try {
    const capture = join(folder, "capture.pcap");
    writeFileSync(capture, pcapOf(packets));
    const args = ["-X", "lua_script:scripts/mpfwd.lua", "-r", capture, "-T", "fields"];
    for (const field of fields) args.push("-e", field);
    const run = spawnSync("tshark", [...args, ...options], { encoding: "utf8", timeout: 60_000 });
    assert.equal(run.status, 0, run.stderr);
    assert.doesNotMatch(run.stderr, /lua/i);
    return run.stdout
      .replace(/\n$/, "")
      .split("\n")
      .map((row) => row.split("\t"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const PREAMBLE = ["mpfwd.type", "mpfwd.flags", "mpfwd.link_id", "mpfwd.seq", "mpfwd.tag.length"];

// biome-ignore format: a table reads in columns
const preambles: [name: string, type: string, linkId: string, seq: string][] = [
  ["init",            "1",  "0x111111", "0"],
  ["resp",            "2",  "0x111111", "0"],
  ["retry",           "3",  "0x111111", "0"],
  ["attach",          "4",  "0x222222", "0"],
  ["challenge",       "5",  "0x333333", "0"],
  ["response",        "6",  "0x444444", "1"],
  ["controlAttached", "8",  "0x333333", "0"],
  ["reset",           "10", "0x444444", "16909060"],
];

const carriers: [name: string, carry: (octets: Uint8Array, place: number) => Uint8Array][] = [
  ["raw IPv4", (octets) => ipv4(MPFWD, octets)],
  ["raw IPv6", (octets) => ipv6(MPFWD, octets)],
  ["TCP over IPv4", (octets, place) => ipv4(TCP, tcp(40_000 + place, 1, framed(octets)))],
  ["UDP over IPv4", (octets) => ipv4(UDP, udp(octets))],
  ["UDP over IPv6", (octets) => ipv6(UDP, udp(octets))],
];

for (const [name, carry] of carriers) {
  test(`the preambles of all messages are shown over ${name}`, () => {
    const packets = preambles.map(([vector], place) => carry(message(vector), place));
    const expected = preambles.map(([, type, linkId, seq]) => [type, "0x00", linkId, seq, "16"]);
    assert.deepEqual(dissect(packets, PREAMBLE), expected);
  });
}

test("the clear fields of the handshake and of attaching are shown", () => {
  const raw = (name: string) => ipv4(MPFWD, message(name));
  const handshake = ["mpfwd.client_id", "mpfwd.version", "mpfwd.sealed.length", "mpfwd.cookie"];
  assert.deepEqual(dissect([raw("init"), raw("resp"), raw("retry")], handshake), [
    ["6d70667764000001", "1", "76", "00".repeat(16)],
    ["", "", "104", ""],
    ["", "", "", "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"],
  ]);
  const attach = ["link_number", "peer_link_id", "transport", "nonce", "echo", "observed_port"];
  const fields = [...attach, "observed_address", "control"].map((field) => `mpfwd.${field}`);
  const names = ["attach", "challenge", "response", "controlAttached"];
  assert.deepEqual(dissect(names.map(raw), fields), [
    ["1", "0x333333", "1", "a1a2a3a4a5a6a7a8", "", "", "", ""],
    ["1", "0x444444", "", "b1b2b3b4b5b6b7b8", "a1a2a3a4a5a6a7a8", "40000", "::ffff:192.0.2.1", ""],
    ["", "", "", "", "b1b2b3b4b5b6b7b8", "", "", ""],
    ["", "", "", "", "", "", "", "3"],
  ]);
});

test("DATA shows its order fields and hands the inner packet to the IP dissector", () => {
  const chosen = data.filter(({ suite, tag }) => suite === "hmacSha256" && tag === 10);
  const packets = chosen.map(({ octets }) => ipv4(MPFWD, octetsOf(octets)));
  const fields = [...PREAMBLE, "mpfwd.order", "mpfwd.prev", "ip.dst", "udp.dstport"];
  const inner = ["198.51.100.1,203.0.113.5", "5678"];
  assert.deepEqual(dissect(packets, fields), [
    ["9", "0x00", "0x444444", "0", "10", "", "", ...inner],
    ["9", "0x02", "0x444444", "5", "10", "", "", ...inner],
    ["9", "0x04", "0x444444", "1", "10", "11259375", "3", ...inner],
  ]);
});

test("the length of the DATA tag is a preference, and encrypted DATA is not looked into", () => {
  const [short] = data.filter(({ tag }) => tag === 8);
  const packets = [ipv4(MPFWD, octetsOf(short?.octets ?? ""))];
  const fields = ["mpfwd.tag", "mpfwd.payload.length", "udp.dstport"];
  const tag = short?.octets.slice(-16);
  assert.deepEqual(dissect(packets, fields, "-o", "mpfwd.tag:8"), [[tag, "48", "5678"]]);
  const sealed = data.filter(({ suite }) => suite === "aes128Gcm");
  const captured = sealed.map(({ octets }) => ipv4(MPFWD, octetsOf(octets)));
  const rows = dissect(
    captured,
    ["mpfwd.tag.length", "mpfwd.payload.length", "udp.dstport"],
    "-o",
    "mpfwd.encrypted:TRUE",
  );
  assert.deepEqual(rows, [
    ["16", "48", ""],
    ["16", "48", ""],
  ]);
});

test("a message that is cut short or of another length is marked, other packets are left alone", () => {
  const marked = (octets: Uint8Array) => dissect([ipv4(MPFWD, octets)], ["mpfwd.damaged"])[0]?.[0];
  const init = message("init");
  assert.notEqual(marked(init.subarray(0, 100)), "");
  assert.notEqual(marked(Buffer.concat([init, new Uint8Array(1)])), "");
  assert.notEqual(marked(Buffer.from("9044444400000000aabb", "hex")), "");
  assert.equal(marked(init), "");
  const alien = [ipv4(MPFWD, Buffer.from("f0000000000000000000", "hex")), ipv4(MPFWD, init)];
  assert.deepEqual(dissect(alien, ["mpfwd.type"]), [[""], ["1"]]);
});

test("a probe is an empty DATA", () => {
  const probe = Buffer.concat([Buffer.from("9244444400000007", "hex"), new Uint8Array(10)]);
  const rows = dissect([ipv4(MPFWD, probe)], ["_ws.col.Info", "mpfwd.payload.length"]);
  assert.deepEqual(rows, [["DATA, link 444444, seq 7, probe", "0"]]);
});

test("a HELLO shows what its sender has seen by each transport, and how long it is", () => {
  const seen = [
    { highest: 9, bitmap: 0x8000_0001, echo: 0xa1a2a3a4 },
    { highest: 0, bitmap: 0, echo: 0 },
    { highest: 3, bitmap: 3, echo: 0xb1b2b3b4 },
  ];
  const flags = { transport: 1, carries: CARRIES_NONE, ask: true, full: false };
  const numbers = { number: 7, nonce: 0xc1c2c3c4, badTags: 2 };
  const hello = encodeHello({ ...flags, ...numbers, seen, octets: HELLO_OCTETS + 5 });
  const preamble = Buffer.from("8044444400000003", "hex");
  const whole = Buffer.concat([preamble, hello, new Uint8Array(16)]);
  const names = ["transport", "ask", "full", "carries", "number", "nonce", "bad_tags"];
  const reports = ["seen.highest", "seen.bitmap", "seen.echo", "padding"];
  const fields = [...names, ...reports].map((name) => `mpfwd.hello.${name}`);
  const row = ["1", "1", "0", "255", "7", "0xc1c2c3c4", "2", "9,0,3"];
  const last = ["0x80000001,0x00000000,0x00000003", "0xa1a2a3a4,0x00000000,0xb1b2b3b4", "5"];
  const info = "CONTROL hello, link 444444, seq 3";
  const packet = ipv4(UDP, udp(whole));
  assert.deepEqual(dissect([packet], [...fields, "_ws.col.Info"]), [[...row, ...last, info]]);
  const cut = Buffer.concat([preamble, hello.subarray(0, 51), new Uint8Array(16)]);
  assert.notEqual(dissect([ipv4(MPFWD, cut)], ["mpfwd.damaged"])[0]?.[0], "");
});

test("a LINK_STATE shows which link it tells of", () => {
  const body = encodeLinkState({ link: 3, state: "restored", number: 7 });
  const preamble = Buffer.from("8044444400000003", "hex");
  const fields = ["link_state.link", "link_state.state", "link_state.number"];
  const packet = ipv4(UDP, udp(Buffer.concat([preamble, body, new Uint8Array(16)])));
  const rows = dissect([packet], [...fields.map((name) => `mpfwd.${name}`), "_ws.col.Info"]);
  assert.deepEqual(rows, [["3", "1", "7", "CONTROL link state, link 444444, seq 3"]]);
});

test("a PMTU answer shows what came, and by which path", () => {
  const body = encodePmtuAnswer({ transport: 1, link: 2, search: 9, octets: 1472 });
  const preamble = Buffer.from("8044444400000003", "hex");
  const fields = ["transport", "link", "search", "octets"].map((name) => `mpfwd.pmtu.${name}`);
  const packet = ipv4(UDP, udp(Buffer.concat([preamble, body, new Uint8Array(16)])));
  const rows = dissect([packet], [...fields, "_ws.col.Info"]);
  assert.deepEqual(rows, [["1", "2", "9", "1472", "CONTROL PMTU answer, link 444444, seq 3"]]);
});

test("messages on TCP are put together and taken apart whatever the segments are", () => {
  const stream = Buffer.concat(
    ["attach", "response", "controlAttached"].map((name) => framed(message(name))),
  );
  const cuts = [0, 1, 30, 70, stream.length];
  const packets = cuts.slice(1).map((end, index) => {
    const start = cuts[index] ?? 0;
    return ipv4(TCP, tcp(40_000, 1 + start, stream.subarray(start, end)));
  });
  const rows = dissect(packets, ["mpfwd.type", "mpfwd.frame_length"]);
  assert.deepEqual(
    rows.flatMap(([types = ""]) => types.split(",")).filter((type) => type !== ""),
    ["4", "6", "8"],
  );
  const lengths = rows.flatMap(([, length = ""]) => length.split(","));
  assert.deepEqual(
    lengths.filter((length) => length !== ""),
    ["64", "32", "25"],
  );
});
