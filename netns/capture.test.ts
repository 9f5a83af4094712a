/**
 * `mpfwd capture` of real portals: what it writes is what tcpdump sees on the link, tshark and tcpdump
 * read it, it keeps its limits, and nobody who reads slowly or goes away holds a portal up.
 */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Transport } from "../src/core/transport.ts";
import type { Child } from "./command.ts";
import { briefContext, withLab } from "./experiment.ts";
import { iperf } from "./load/iperf.ts";
import { ping } from "./load/ping.ts";
import { Portals } from "./portals.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS, type Role } from "./topology/names.ts";

const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const STRANGER = fileURLToPath(new URL("load/stranger.js", import.meta.url));
const LIMIT_MS = 10_000;
const PINGS = 10;
const DATA = "9";
const ICMP = "1";
/** The ring, and what a heap may do meanwhile. */
const GROWTH_MAX = 40 * 1024 * 1024;

const context = briefContext("raw");
const NAME = { lp: "mpl0", rp: "mpr0" } as const;

function command(lab: Lab, role: "lp" | "rp", file: string, ...options: string[]): string[] {
  const state = ["--state-directory", join(lab.stateDirectory, "portals")];
  return [MAIN, "capture", file, NAME[role], ...state, ...options];
}

/** For a shell. */
const quoted = (words: string[]) =>
  [process.execPath, ...words].map((word) => `'${word}'`).join(" ");

/** Starts a capture and waits until it runs. */
async function capture(
  lab: Lab,
  role: "lp" | "rp",
  file: string,
  ...options: string[]
): Promise<Child> {
  const child = lab.spawn(role, process.execPath, command(lab, role, file, ...options));
  await child.saw("capturing", LIMIT_MS);
  return child;
}

/** Ends it as Ctrl-C does; what it said. */
async function stop(child: Child): Promise<string> {
  child.signal("SIGINT");
  const { code, stderr } = await child.done;
  assert.equal(code, 0, stderr);
  return stderr;
}

/** Rows of the asked fields, one a packet that passes the filter. */
async function dissect(
  lab: Lab,
  file: string,
  filter: string,
  fields: string[],
): Promise<string[]> {
  const columns = fields.flatMap((field) => ["-e", field]);
  const dissector = ["-X", "lua_script:scripts/mpfwd.lua"];
  const args = [...dissector, "-r", file, "-Y", filter, "-T", "fields", ...columns];
  const { stdout } = await lab.exec("server", "tshark", args);
  return stdout.split("\n").filter((row) => row !== "");
}

const pings = (lab: Lab) => ping(lab, { from: "client", to: ADDRESS.server(4), count: PINGS });

/** What names a message, and what its outer header says. */
const FIELDS = ["mpfwd.link_id", "mpfwd.seq", "mpfwd.flags", "ip.src", "ip.dst", "ip.dsfield"];

/** DATA of a capture in which one packet may be several messages, as TCP's segments are. */
async function messages(lab: Lab, file: string): Promise<string[]> {
  const rows = await dissect(lab, file, "mpfwd", ["mpfwd.type", "mpfwd.link_id", "mpfwd.seq"]);
  return rows.flatMap((row) => {
    const [types = [], ids = [], seqs = []] = row.split("\t").map((cell) => cell.split(","));
    const named = types.map((type, index) => `${type} ${ids[index]} ${seqs[index]}`);
    return named.filter((_, index) => types[index] === DATA);
  });
}

for (const transport of ["raw", "udp", "tcp"] as const satisfies readonly Transport[]) {
  test(`a capture over ${transport} holds what tcpdump sees on the link`, () =>
    withLab(context, [""], async (lab) => {
      const portals = await Portals.up(lab, { transport, tunnel: ["dscp = 10"] });
      const wire = join(lab.stateDirectory, "wire.pcap");
      const own = join(lab.stateDirectory, "own.pcap");
      // It would forget what its kernel holds back when it is interrupted.
      const atOnce = ["--immediate-mode", "-U", "-Z", "root", "-i", "wan1", "-w", wire];
      const tcpdump = lab.spawn("lp", "tcpdump", atOnce);
      await tcpdump.saw("listening", LIMIT_MS);
      const running = await capture(lab, "lp", own);
      assert.equal((await pings(lab)).answers.length, PINGS);
      assert.match(await stop(running), /\d\d packets captured, \d+ octets\n$/);
      tcpdump.signal("SIGINT");
      await tcpdump.done;
      const echoes = `mpfwd.type == ${DATA} && ip.proto == ${ICMP}`;
      const seen = (file: string) => dissect(lab, file, echoes, [...FIELDS, "icmp.seq"]);
      const [there, here] = [await seen(wire), await seen(own)];
      assert.equal(here.length, 2 * PINGS, "each ping and each answer");
      if (transport === "tcp") {
        const [all, echoed] = await Promise.all([messages(lab, wire), messages(lab, own)]);
        assert.deepEqual(
          echoed.filter((one) => !all.includes(one)),
          [],
        );
      } else assert.deepEqual(here.toSorted(), there.toSorted());
      await portals.down();
    }));
}

test("handshake, attaching and feedback are there, of both directions, with times that pass", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "udp" });
    const file = join(lab.stateDirectory, "life.pcap");
    const running = await capture(lab, "rp", file);
    await portals.end("local");
    portals.start("local");
    await portals.waitLinks(1, LIMIT_MS);
    await pings(lab);
    await stop(running);
    const rows = await dissect(lab, file, "mpfwd", [
      "mpfwd.type",
      "frame.time_epoch",
      "udp.dstport",
    ]);
    const types = new Set(rows.map((row) => row.split("\t")[0]));
    for (const type of ["1", "2", "4", "5", "6", "7", "8", DATA]) assert.ok(types.has(type), type);
    const times = rows.map((row) => Number(row.split("\t")[1]));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    const [first = 0, last = 0] = [times[0], times.at(-1)];
    assert.ok(Math.abs(Date.now() / 1000 - last) < 60, "wall clock");
    assert.ok(last - first > 0.1 && last - first < 60, `${last - first} s`);
    assert.ok(
      times.some((time) => !Number.isInteger(time * 1e6)),
      "finer than microseconds",
    );
    await portals.down();
  }));

test("a link alone is captured, and its packets only", () =>
  withLab(context, ["", ""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "raw" });
    const file = join(lab.stateDirectory, "link2.pcap");
    const running = await capture(lab, "lp", file, "--link", "link2");
    for (let round = 0; round < 5; round += 1) await pings(lab);
    await stop(running);
    const ends = await dissect(lab, file, "mpfwd", ["ip.src", "ip.dst"]);
    assert.ok(ends.length > 0);
    const [own, remote] = [ADDRESS.access(4, 2, 2), ADDRESS.remote(4)];
    const outer = new Set(
      ends.map((row) =>
        row
          .split("\t")
          .map((one) => one.split(",")[0])
          .join(),
      ),
    );
    assert.deepEqual([...outer].toSorted(), [`${own},${remote}`, `${remote},${own}`].toSorted());
    const other = lab.spawn("lp", process.execPath, command(lab, "lp", file, "--link", "link3"));
    const { code, stderr } = await other.done;
    assert.equal(code, 1);
    assert.match(stderr, /there is no link link3; there are: link1, link2/);
    await portals.down();
  }));

test("size, time and snap are kept, and what is written is whole", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "raw" });
    const file = join(lab.stateDirectory, "short.pcap");
    const running = await capture(lab, "lp", file, "--size", "2k", "--snap", "60");
    for (let round = 0; round < 20 && !running.ended; round += 1) await pings(lab);
    const { code, stderr } = await running.done;
    assert.equal(code, 0, stderr);
    const { size, mode } = statSync(file);
    assert.ok(size <= 2000 && size > 2000 - 16 - 60, `${size} octets`);
    assert.equal(mode & 0o777, 0o600);
    const read = await lab.exec("lp", "tcpdump", ["-n", "-r", file]);
    assert.doesNotMatch(read.stderr, /truncated/);
    const lengths = await dissect(lab, file, "frame", ["frame.cap_len"]);
    assert.ok(lengths.length > 0 && lengths.every((length) => Number(length) <= 60));
    const timed = await capture(lab, "lp", file, "--duration", "0.5");
    assert.equal((await timed.done).code, 0);
    await portals.down();
  }));

test("tcpdump reads a capture from a pipe while it runs", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "udp" });
    const pipe = `${quoted(command(lab, "lp", "-"))} | tcpdump -n -l -c 20 -r -`;
    const running = lab.spawn("lp", "sh", ["-c", pipe]);
    await running.saw("capturing", LIMIT_MS);
    for (let round = 0; round < 5; round += 1) await pings(lab);
    const { code, stdout } = await running.done;
    assert.equal(code, 0);
    assert.match(stdout, /IP 10\.100\.1\.2\.\d+ > 10\.30\.0\.1\.5253: UDP/);
    await portals.down();
  }));

test("what a portal refuses is captured too", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "raw" });
    const file = join(lab.stateDirectory, "refused.pcap");
    const running = await capture(lab, "rp", file);
    const stranger = lab.spawn("isp1", process.execPath, [STRANGER, "raw", ADDRESS.remote(4)]);
    stranger.write(`90abcdef00000007${"00".repeat(40)}\n`);
    assert.equal((await stranger.done).stdout.trim(), "1");
    await pings(lab);
    await stop(running);
    const rows = await dissect(lab, file, "mpfwd.link_id == 0xabcdef", ["mpfwd.seq"]);
    assert.deepEqual(rows, ["7"]);
    await portals.down();
  }));

test("one capture runs at a time, and one that is killed makes room for the next", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "raw" });
    const file = (name: string) => join(lab.stateDirectory, name);
    const first = await capture(lab, "lp", file("first.pcap"));
    const refused = lab.spawn("lp", process.execPath, command(lab, "lp", file("second.pcap")));
    const { code, stderr } = await refused.done;
    assert.deepEqual([code, /another capture runs/.test(stderr)], [1, true], stderr);
    assert.throws(() => statSync(file("second.pcap")), "nothing is left of a refused one");
    first.signal("SIGKILL");
    await first.done;
    await stop(await capture(lab, "lp", file("third.pcap")));
    const last = await capture(lab, "lp", file("last.pcap"));
    await portals.end("local");
    const ended = await last.done;
    assert.deepEqual([ended.code, /mpl0 hung up/.test(ended.stderr)], [1, true], ended.stderr);
    const read = await lab.exec("lp", "tcpdump", ["-n", "-r", file("last.pcap")]);
    assert.doesNotMatch(read.stderr, /truncated/);
    await portals.down();
  }));

/** Octets that a process holds in memory. */
async function resident(lab: Lab, role: Role, pid: number): Promise<number> {
  const { stdout } = await lab.exec(role, "cat", [`/proc/${pid}/status`]);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(stdout)?.[1]) * 1024;
}

test("a reader that sleeps costs packets of the capture, not memory nor the tunnel", () =>
  withLab(context, [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "udp" });
    const load = { direction: "up", seconds: 3, omitSeconds: 0 } as const;
    const { rate } = await iperf(lab, load);
    const { pid } = await portals.status("local");
    const before = await resident(lab, "lp", pid);
    const words = quoted(command(lab, "lp", "-", "--duration", "5"));
    const running = lab.spawn("lp", "sh", ["-c", `${words} | (sleep 4; cat >/dev/null)`]);
    await running.saw("capturing", LIMIT_MS);
    const beside = await iperf(lab, load);
    const grown = (await resident(lab, "lp", pid)) - before;
    assert.ok(grown < GROWTH_MAX, `${grown} octets more`);
    assert.ok(beside.rate > rate / 3, `${beside.rate} of ${rate} bit/s`);
    const { stderr } = await running.done;
    const [, packets = "0", missed = "0"] =
      /(\d+) packets captured.*; (\d+) packets missed/.exec(stderr) ?? [];
    assert.ok(Number(packets) > 1000 && Number(missed) > 1000, stderr);
    await portals.down();
  }));
