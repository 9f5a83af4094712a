/**
 * The middlebox in the kernel: plain packets of every kind before and after each rule, over a link with
 * the emulator and one without, over both families; translation, what is forged, and that it all goes.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../src/portal/config.ts";
import { DIRECTIONS, type Direction } from "./emulator/control.ts";
import { parseLink } from "./link-options.ts";
import type { DatagramsReceived } from "./load/datagrams.ts";
import { iperf } from "./load/iperf.ts";
import { ping } from "./load/ping.ts";
import { runDatagrams } from "./load/processes.ts";
import { Lab } from "./topology/lab.ts";
import { NO_MIDDLEBOX, parseMiddlebox } from "./topology/middlebox.ts";
import { ADDRESS, FAMILIES, type Family } from "./topology/names.ts";
import { icmpError, ipPacket } from "./topology/packets.ts";

const EMULATED = 1;
const PLAIN = 2;
const TRANSLATED = 3;
const LINKS = ["live", "", "nat,live,neighbour"];
/** A router in a provider's network that the lab has not. */
const ROUTER = { 4: "10.200.1.9", 6: "fd10:200:1::9" } as const;

/** Says what becomes of a connection to port 444. */
const KNOCK = `require("net").connect(444, process.argv[1])
  .on("error", (error) => console.log(error.code))
  .setTimeout(800, () => { console.log("silent"); process.exit(); })`;

let lab: Lab;

before(async () => {
  lab = await Lab.up({ links: LINKS.map(parseLink) });
});

after(() => lab.down());

interface Volley {
  readonly link?: number;
  readonly family?: Family;
  readonly direction?: Direction;
  readonly octets?: number;
  readonly count?: number;
  readonly perSecond?: number;
}

/** Plain packets from portal to portal over a link. */
function volley(kind: "raw" | "udp", options: Volley = {}): Promise<DatagramsReceived> {
  const { link = EMULATED, family = 4, direction = "up" } = options;
  const ends = [ADDRESS.access(family, link, 2), ADDRESS.transit(family, link, 2)] as const;
  const [source, target] = direction === "up" ? ends : ([ends[1], ends[0]] as const);
  const { octets = 100, count = 20, perSecond = 400 } = options;
  return runDatagrams(lab, {
    ...{ kind, number: kind === "raw" ? DEFAULT_PROTOCOL : DEFAULT_PORT },
    ...(direction === "up"
      ? ({ from: "lp", to: "rp" } as const)
      : ({ from: "rp", to: "lp" } as const)),
    ...{ source, target, count, octets, perSecond },
  });
}

/** Runs with a box in the provider, and takes it out again. */
async function behind(rules: string, link: number, use: () => Promise<void>): Promise<void> {
  await lab.middlebox(link, parseMiddlebox(rules));
  try {
    await use();
  } finally {
    await lab.middlebox(link, NO_MIDDLEBOX);
  }
}

const received = async (kind: "raw" | "udp", options: Volley = {}) =>
  (await volley(kind, options)).received;

for (const link of [EMULATED, PLAIN]) {
  for (const family of FAMILIES) {
    const where = { link, family };
    test(`without a box raw and UDP pass unaltered both ways, link ${link}, IPv${family}`, async () => {
      for (const direction of DIRECTIONS) {
        for (const kind of ["raw", "udp"] as const) {
          const { received, altered } = await volley(kind, { ...where, direction });
          assert.deepEqual([received, altered], [20, 0], `${kind} ${direction}`);
        }
      }
    });

    test(`drop_up=raw drops raw on the way up alone, link ${link}, IPv${family}`, () =>
      behind("drop_up=raw", link, async () => {
        assert.equal(await received("raw", where), 0);
        assert.equal(await received("raw", { ...where, direction: "down" }), 20);
        assert.equal(await received("udp", where), 20);
      }));

    test(`mangle_down=raw alters each raw packet on the way down, link ${link}, IPv${family}`, () =>
      behind("mangle_down=raw", link, async () => {
        const down = await volley("raw", { ...where, direction: "down" });
        assert.deepEqual([down.received, down.altered], [20, 20]);
        assert.equal((await volley("raw", where)).altered, 0);
      }));
  }
}

test("drop_down=raw drops raw on the way down alone", () =>
  behind("drop_down=raw", EMULATED, async () => {
    assert.equal(await received("raw", { direction: "down" }), 0);
    assert.equal(await received("raw"), 20);
  }));

test("a box is changed while packets flow, and taken out again", async () => {
  await lab.middlebox(EMULATED, parseMiddlebox("drop=udp"));
  const running = volley("udp", { count: 400, perSecond: 200 });
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  await lab.middlebox(EMULATED, NO_MIDDLEBOX);
  const { received, first, last } = await running;
  assert.ok(first > 20 && last === 399, `${first} to ${last}`);
  assert.equal(received, last - first + 1);
});

for (const family of FAMILIES) {
  test(`drop=udp and drop=icmp leave the others alone, IPv${family}`, async () => {
    const to = ADDRESS.transit(family, EMULATED, 2);
    const source = ADDRESS.access(family, EMULATED, 2);
    const pings = async () =>
      (await ping(lab, { from: "lp", to, source, count: 5 })).answers.length;
    await behind("drop=udp", EMULATED, async () => {
      assert.equal(await received("udp", { family }), 0);
      assert.equal(await received("raw", { family }), 20);
      assert.equal(await pings(), 5);
    });
    await behind("drop=icmp", EMULATED, async () => {
      assert.equal(await pings(), 0);
      assert.equal(await received("udp", { family }), 20);
    });
  });

  test(`only=443 passes TCP to that port and nothing else, IPv${family}`, () =>
    behind("only=443", EMULATED, async () => {
      const way = { from: "lp", to: "rp", source: ADDRESS.access(family, EMULATED, 2) } as const;
      const flow = { ...way, direction: "up", seconds: 1, omitSeconds: 0 } as const;
      const target = ADDRESS.transit(family, EMULATED, 2);
      const open = await iperf(lab, { ...flow, target, port: 443 });
      assert.ok(open.rate > 1e6, `${open.rate} ${open.error}`);
      assert.equal(await received("raw", { family }), 0);
      assert.equal(await received("udp", { family }), 0);
      const { stdout } = await lab.exec("lp", process.execPath, ["-e", KNOCK, target]);
      assert.equal(stdout.trim(), "silent");
    }));
}

test("reject_up=icmp drops and says that it is prohibited", () =>
  behind("reject_up=icmp", EMULATED, async () => {
    const way = ["-I", ADDRESS.access(4, EMULATED, 2), ADDRESS.transit(4, EMULATED, 2)];
    const { stdout } = await lab.exec("lp", "ping", ["-c1", "-W1", ...way], { mayFail: true });
    assert.match(stdout, /Packet filtered/);
  }));

test("police=raw@1mbit limits raw to its rate and leaves UDP alone", () =>
  behind("police=raw@1mbit", EMULATED, async () => {
    // 2.5 Mbit/s for 2 s: 1 Mbit/s passes, 250 packets of 1000, and what is in the bucket, 140.
    const load = { octets: 980, count: 626, perSecond: 313 };
    const raw = await received("raw", load);
    assert.ok(raw > 330 && raw < 450, `${raw} of 626`);
    assert.equal(await received("udp", load), 626);
  }));

test("longer=raw@1200 drops raw packets of more than 1200 octets alone", () =>
  behind("longer=raw@1200", EMULATED, async () => {
    assert.equal(await received("raw", { octets: 1_180 }), 20);
    assert.equal(await received("raw", { octets: 1_181 }), 0);
    assert.equal(await received("udp", { octets: 1_400 }), 20);
  }));

test("two Local Portals behind one translation: the first one's raw packets pass, the second one's do not", async () => {
  const target = ADDRESS.transit(4, TRANSLATED, 2);
  const from = (role: "lp" | "lp2", kind: "raw" | "udp") =>
    runDatagrams(lab, {
      ...{ kind, number: kind === "raw" ? DEFAULT_PROTOCOL : DEFAULT_PORT },
      ...{ from: role, to: "rp", target, count: 20, octets: 100, perSecond: 400 },
      source: (role === "lp" ? ADDRESS.access : ADDRESS.neighbour)(4, TRANSLATED, 2),
    });
  assert.equal((await from("lp", "raw")).received, 20);
  assert.equal((await from("lp2", "raw")).received, 0);
  assert.equal((await from("lp2", "udp")).received, 20);
  const { answers } = await ping(lab, {
    ...{ from: "lp2", to: target, source: ADDRESS.neighbour(4, TRANSLATED, 2), count: 3 },
  });
  assert.equal(answers.length, 3);
  assert.ok((await lab.connections("isp3")) >= 3);
  await lab.flushConnections(TRANSLATED);
  assert.equal(await lab.connections("isp3"), 0);
  assert.equal((await from("lp2", "raw")).received, 20, "the mapping is free again");
});

for (const family of FAMILIES) {
  test(`a forged ICMPv${family} error arrives whole`, async () => {
    const source = ADDRESS.access(family, EMULATED, 2);
    const target = ADDRESS.transit(family, EMULATED, 2);
    const sent = ipPacket(
      { from: source, to: target, protocol: DEFAULT_PROTOCOL },
      Buffer.alloc(40),
    );
    const errors = [
      { tag: "too big", mtu: 600 },
      { tag: "protocol unreachable" },
      { tag: "port unreachable" },
    ] as const;
    const filter = `src host ${ROUTER[family]}`;
    const capture = lab.spawn("lp", "tcpdump", [
      "-nvvli",
      "wan1",
      "-c3",
      "--immediate-mode",
      filter,
    ]);
    await capture.saw("listening on", 5_000);
    const forged = errors.map((error) => icmpError(error, ROUTER[family], sent));
    assert.equal(await lab.forge(EMULATED, forged), 3);
    const { stdout } = await capture.done;
    assert.match(stdout, family === 4 ? /need to frag \(mtu 600\)/ : /packet too big, mtu 600/);
    assert.match(stdout, family === 4 ? /protocol 253 unreachable/ : /next header/);
    assert.doesNotMatch(stdout, /bad|wrong/);
  });
}

test("packets with forged sources reach the Remote Portal", async () => {
  const target = ADDRESS.transit(4, EMULATED, 2);
  const count = 50;
  const packets = Array.from({ length: count }, (_, index) =>
    ipPacket(
      { from: `192.0.2.${index + 1}`, to: target, protocol: DEFAULT_PROTOCOL },
      Buffer.alloc(40, 0x90),
    ),
  );
  const capture = lab.spawn("rp", "tcpdump", [
    "-nli",
    "wan1",
    `-c${count}`,
    "--immediate-mode",
    "src net 192.0.2.0/24",
  ]);
  await capture.saw("listening on", 5_000);
  assert.equal(await lab.forge(EMULATED, packets), count);
  const { stdout } = await capture.done;
  assert.match(stdout, /192\.0\.2\.50 > /);
});

test("a lab with a neighbour leaves no namespace behind", async () => {
  const other = await Lab.up({ links: [parseLink("neighbour")] });
  await other.middlebox(1, parseMiddlebox("drop=raw"));
  const mine = async () => {
    const { stdout } = await lab.children.run("ip", ["netns", "list"]);
    return stdout.split("\n").filter((line) => line.includes(other.id)).length;
  };
  assert.equal(await mine(), 6);
  await other.down();
  assert.equal(await mine(), 0);
});
