/**
 * `mpfwd probe` in the lab: every middlebox of the ladder is told from the others, link by link side by
 * side, both ways and over both families; address translation, another host behind it, hop by hop.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { ProbeDocument } from "../src/cli/probe-json.ts";
import type { Word } from "../src/probe/judgement.ts";
import type { Finished } from "./command.ts";
import { briefContext, withLab } from "./experiment.ts";
import { writePortalFiles } from "./portal-files.ts";
import type { Lab } from "./topology/lab.ts";
import { parseMiddlebox } from "./topology/middlebox.ts";
import { ADDRESS, FAMILIES } from "./topology/names.ts";

const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const NODE = ["--enable-source-maps", CLI];
const START_LIMIT_MS = 15_000;
const PROBE_LIMIT_MS = 60_000;
const context = briefContext("raw");

interface Case {
  readonly box: string;
  /** To the portal, and from it. */
  readonly raw: readonly [Word, Word];
  readonly udp?: readonly [Word, Word];
  readonly exitCode: number;
  readonly config: readonly string[];
}

const BOTH_OK = ["ok", "ok"] as const;
/** Half of them at a time: one link's probe is 2000 packets a second. */
const BATCHES: readonly (readonly Case[])[] = [
  [
    { box: "none", raw: BOTH_OK, exitCode: 0, config: ['transport = "auto"'] },
    { box: "drop=raw", raw: ["blocked", "blocked"], exitCode: 5, config: ['transport = "udp"'] },
    { box: "drop_up=raw", raw: ["blocked", "ok"], exitCode: 5, config: ['transport = "udp"'] },
    { box: "drop_down=raw", raw: ["ok", "blocked"], exitCode: 5, config: ['transport = "auto"'] },
    {
      ...{ box: "drop=udp", raw: BOTH_OK, udp: ["blocked", "blocked"] },
      ...{ exitCode: 0, config: ['transport = "auto"'] },
    },
  ],
  [
    {
      ...{ box: "police_up=raw@1mbit", raw: ["policed", "ok"], exitCode: 5 },
      config: ['transport = "auto"'],
    },
    {
      ...{ box: "police_down=raw@1mbit", raw: ["ok", "policed"], exitCode: 5 },
      config: ['transport = "auto"'],
    },
    { box: "mangle=raw", raw: ["mangled", "mangled"], exitCode: 5, config: ['transport = "udp"'] },
    {
      ...{ box: "longer=raw@1200", raw: ["size-limited", "size-limited"] },
      ...{ exitCode: 5, config: ['transport = "udp"'] },
    },
    {
      ...{ box: "drop=raw,drop=udp", raw: ["blocked", "blocked"], udp: ["blocked", "blocked"] },
      ...{ exitCode: 6, config: ['transport = "tcp"'] },
    },
  ],
];

for (const [index, cases] of BATCHES.entries()) {
  for (const family of FAMILIES) {
    test(`each link's middlebox is told, side by side, batch ${index + 1}, IPv${family}`, () =>
      withLab(
        context,
        cases.map(() => ""),
        async (lab) => {
          const { local, key } = await remotePortal(lab, family);
          for (const [at, { box }] of cases.entries()) {
            await lab.middlebox(at + 1, parseMiddlebox(box));
          }
          const { code, stdout } = await probe(lab, [local, "--json"]);
          assert.ok(!stdout.includes(key), "no key is printed");
          const document = JSON.parse(stdout) as ProbeDocument;
          assert.equal(document.schema, 1);
          for (const [at, wanted] of cases.entries()) judgeLink(document, at, wanted);
          for (const [at, { box }] of cases.entries()) if (box === "none") judgeHops(document, at);
          const worst = Math.max(...cases.map(({ exitCode }) => exitCode));
          assert.equal(document.exitCode, worst);
          assert.equal(code, worst);
        },
      ));
  }
}

/** Both sides say how far their packets came, where the kernel tells. */
function judgeHops(document: ProbeDocument, at: number): void {
  for (const { transport, directions } of document.links[at]?.measurement.transports ?? []) {
    const told = transport !== "tcp";
    const { up, down } = directions;
    assert.deepEqual([up.hops !== null, down.hops !== null], [told, told], transport);
  }
}

function judgeLink(document: ProbeDocument, at: number, wanted: Case): void {
  const link = document.links[at];
  assert.ok(link !== undefined);
  const words = (transport: string) => {
    const found = link.verdict.transports.find((one) => one.transport === transport);
    return [found?.up.word, found?.down.word];
  };
  const said = `${wanted.box}: ${link.verdict.sentence}`;
  assert.deepEqual(words("raw"), wanted.raw, said);
  assert.deepEqual(words("udp"), wanted.udp ?? BOTH_OK, said);
  assert.deepEqual(words("tcp"), BOTH_OK, said);
  assert.equal(link.verdict.exitCode, wanted.exitCode, said);
  assert.deepEqual(link.verdict.config, wanted.config, said);
}

test("another host behind the same translation is named, and the trace ends where raw IP does", () =>
  withLab(context, ["nat,live,neighbour"], async (lab) => {
    const key = keyFile(lab);
    await listener(lab, key);
    const target = [ADDRESS.remote(4), "--key", key, "--json"];
    const first = JSON.parse((await probe(lab, target, "lp2")).stdout) as ProbeDocument;
    assert.equal(first.links[0]?.verdict.exitCode, 0, first.links[0]?.verdict.sentence);
    assert.equal(first.links[0]?.verdict.translated, true);
    const { code, stdout } = await probe(lab, [...target, "--trace"]);
    const [link] = (JSON.parse(stdout) as ProbeDocument).links;
    assert.ok(link !== undefined);
    const raw = link.verdict.transports.find(({ transport }) => transport === "raw");
    assert.deepEqual([raw?.up.word, raw?.down.word], ["nat-conflict", "unreachable"]);
    assert.match(link.verdict.sentence, /already carries it for another host/);
    assert.equal(code, 5);
    assert.equal(link.trace?.raw.at(0)?.from, ADDRESS.access(4, 1, 1));
    assert.equal(
      link.trace?.raw.some(({ reached }) => reached),
      false,
    );
    assert.equal(link.trace?.udp.at(-1)?.from, ADDRESS.remote(4));
    assert.equal(link.trace?.udp.at(-1)?.reached, true);
  }));

test("without a portal, nothing works, and it says what answered", () =>
  withLab(context, [""], async (lab) => {
    const key = keyFile(lab);
    const { code, stdout } = await probe(lab, [ADDRESS.remote(4), "--key", key]);
    assert.equal(code, 7, stdout);
    assert.match(stdout, /No answer by raw IP \(protocol 253\), UDP, TCP/);
    assert.match(stdout, /10\.30\.0\.1 says ICMP 3\/3 to udp/);
    assert.match(stdout, /TCP is refused/);
  }));

test("the listening side answers nobody who has another key", () =>
  withLab(context, [""], async (lab) => {
    await listener(lab, keyFile(lab));
    const { code } = await probe(lab, [ADDRESS.remote(4), "--key", keyFile(lab), "--json"]);
    assert.equal(code, 7);
  }));

async function remotePortal(lab: Lab, family: 4 | 6): Promise<{ local: string; key: string }> {
  const { of, directory } = writePortalFiles(lab, { transport: "auto", family });
  const run = [...NODE, "up", of.remote.path, "--state-directory", directory];
  await lab.spawn("rp", process.execPath, run).saw("is up", START_LIMIT_MS);
  const [, key] = /^key = "(.+)"$/m.exec(readFileSync(of.local.path, "utf8")) ?? [];
  assert.ok(key !== undefined);
  return { local: of.local.path, key };
}

async function listener(lab: Lab, key: string): Promise<void> {
  const run = [...NODE, "probe", "--listen", "--key", key];
  await lab.spawn("rp", process.execPath, run).saw("Answering probes", START_LIMIT_MS);
}

let keys = 0;

/** A key and a client id that nobody else has. */
function keyFile(lab: Lab): string {
  keys += 1;
  const path = join(lab.stateDirectory, `probe${keys}.key`);
  const lines = [randomBytes(32).toString("base64"), randomBytes(8).toString("hex")];
  writeFileSync(path, lines.join("\n"), { mode: 0o600 });
  return path;
}

function probe(lab: Lab, args: readonly string[], from: "lp" | "lp2" = "lp"): Promise<Finished> {
  const run = [...NODE, "probe", ...args, "--duration", "6"];
  return lab.exec(from, process.execPath, run, { mayFail: true, limitMs: PROBE_LIMIT_MS });
}
