/** Status, figures and tables as the operator reads them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { durationText, rateText, sizeText, statusText } from "../../src/cli/status-text.ts";
import { table } from "../../src/cli/table.ts";
import type { LinkStatus, PortalStatus } from "../../src/portal/snapshot.ts";

const LINK: LinkStatus = {
  ...{
    name: "dsl",
    state: "up",
    transport: "raw",
    transportIn: "udp",
    device: "eth1",
    remote: "203.0.113.7",
  },
  ...{
    srttUs: 12_345,
    rttMinUs: 10_000,
    loss: 0.0123,
    rateOut: 1_250_000,
    rateIn: 0,
    share: 0.567,
  },
  ...{ controller: "dtc", phase: "run", ecn: true, queueUs: 0 },
  ...{ cwndBytes: 1, inFlightBytes: 1, packetsOut: 1, packetsIn: 1, bytesOut: 1, bytesIn: 1 },
  transports: [
    { transport: "raw", usable: true, works: "yes", lastHeardUs: 1, retryUs: null, mtu: 1492 },
  ],
  ...{ switches: 0, lastSwitch: null, packetsLost: 1, doubts: 0, downs: 0, sinceSeconds: 125 },
};

const COUNTS = {
  repair: { resent: 0, abandoned: 0, copies: 0 },
  order: { held: 0, lostByProgress: 0, lostByTime: 0, late: 0 },
};

const STATUS: PortalStatus = {
  ...{ schema: 4, version: "0.1.0", name: "mpfwd0", role: "local", pid: 42, uptimeSeconds: 7300 },
  ...{ mtu: 1449, offload: true, overhead: { raw4: 38 }, packetsOut: 1, packetsIn: 20 },
  ...{ bytesOut: 1500, bytesIn: 2_000_000, queuePackets: 0, queueBytes: 0, slotsFree: 1, slots: 2 },
  drops: { badTag: 2, queueOverflow: 30 },
  peers: [
    {
      name: "remote",
      established: true,
      contenders: null,
      innerMtu: 1_441,
      ...COUNTS,
      links: [
        LINK,
        {
          ...LINK,
          name: "lte",
          state: "down",
          device: null,
          remote: null,
          srttUs: null,
          transportIn: "raw",
        },
      ],
    },
    { name: "other", established: false, contenders: null, innerMtu: 1449, ...COUNTS, links: [] },
  ],
};

test("a status is one line a link, then totals and drops, most first", () => {
  assert.equal(
    statusText(STATUS),
    `mpfwd0: local portal, up 2.0 h, pid 42, version 0.1.0
  MTU 1449, offload on, octets added: raw4 38

  remote: session established, inner packets up to 1441 octets
    link  state  transport  device  address       MTU      RTT   loss          out       in  share  since
    dsl   up     raw/udp    eth1    203.0.113.7  1492  12.3 ms  1.2 %  10.0 Mbit/s  0 bit/s   57 %  2 min
    lte   down   raw        -       -            1492        -  1.2 %  10.0 Mbit/s  0 bit/s   57 %  2 min

  other: no session
    no links

  out     1 packet, 1.50 kB
  in      20 packets, 2.00 MB
  queue   0 packets, 0 B
  drops   queueOverflow 30, badTag 2
`,
  );
});

// biome-ignore format: a table reads in columns
const figures: [shown: string, expected: string][] = [
  [rateText(0),             "0 bit/s"],
  [rateText(124.8),         "998 bit/s"],
  [rateText(124.99),        "1.00 kbit/s"],
  [rateText(125_000_000),   "1.00 Gbit/s"],
  [rateText(12_499_999),    "100 Mbit/s"],
  [sizeText(999),           "999 B"],
  [sizeText(123_456),       "123 kB"],
  [sizeText(9.9e15),        "9900 TB"],
  [durationText(0.9),       "0 s"],
  [durationText(59.9),      "59 s"],
  [durationText(60),        "1 min"],
  [durationText(3600),      "1.0 h"],
  [durationText(3 * 86_400), "3.0 d"],
];
for (const [shown, expected] of figures) {
  test(`shows ${expected}`, () => assert.equal(shown, expected));
}

test("an address is text, not a figure, and stands to the left", () => {
  assert.deepEqual(
    table([
      ["address", "n"],
      ["10.0.0.1", "1"],
      ["1.1.1.1", "100"],
    ]),
    ["address     n", "10.0.0.1    1", "1.1.1.1   100"],
  );
});

test("names that are numbers, and columns without a figure, stand to the left", () => {
  const rows = [
    ["link", "device", "loss"],
    ["0", "-", "1.0 %"],
    ["1", "-", "-"],
  ];
  assert.deepEqual(table(rows), [
    "link  device   loss",
    "0     -       1.0 %",
    "1     -           -",
  ]);
});

/** Every key of an object, deep; those of `overhead` and `drops` are names of their own. */
function keysOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    key === "overhead" || key === "drops" ? [key] : [key, ...keysOf(item)],
  );
}

test("every field of the status is described", () => {
  const text = readFileSync("docs/commands.md", "utf8");
  const [, described = ""] = /### Status as JSON\n([\s\S]*?)\n##/.exec(text) ?? [];
  assert.ok(described.includes(`\`schema\` is ${STATUS.schema};`));
  for (const key of new Set(keysOf(STATUS))) {
    assert.match(described, new RegExp(`[\`.]${key}\\b`), `${key} is not described`);
  }
});

test("two machines that use one key are named, with the mend", () => {
  const [peer] = STATUS.peers;
  assert.ok(peer !== undefined);
  assert.doesNotMatch(statusText(STATUS), /same key/);
  const contenders = ["192.0.2.7", "198.51.100.9"];
  const text = statusText({ ...STATUS, peers: [{ ...peer, contenders }] });
  assert.match(
    text,
    /used from 192\.0\.2\.7 and 198\.51\.100\.9 in turn: probably two machines have the same key/,
  );
  assert.match(text, /give it a client of its own/);
});
