/** A client that comes and goes leaves nothing behind at the portal it comes to: no descriptor, no slot, no link. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { judge } from "../../src/cli/configuration/judge.ts";
import type { Log } from "../../src/core/log.ts";
import { type RunningPortal, startPortal } from "../../src/portal/portal.ts";
import { inNamespace } from "../native/namespace.ts";

/** More of them by hand: RECONNECTS=1000. */
const RECONNECTS = Number(process.env["RECONNECTS"] ?? 10);
/** What was opened but once, for the first client, is open by then. */
const SETTLED = 3;
/** Slots of what a bond is just sending. */
const UNDER_WAY = 4;
/** Descriptors of a portal that has stopped but whose poll is closed with the event loop's next turn. */
const CLOSING = 4;
const LIMIT_MS = 10_000;
const SILENT: Log = { info() {}, warn() {}, error() {} };
const KEY = Buffer.alloc(32, 7).toString("base64");

const REMOTE = `
role = "remote"
[tunnel]
name = "far0"
addresses = ["10.77.0.1/24"]
[listen]
transports = ["raw", "udp", "tcp"]
[[client]]
name = "one"
client_id = "0011223344556677"
key = "${KEY}"
inner = ["10.77.0.2"]
`;

const localText = (transport: string) => `
role = "local"
[tunnel]
name = "near0"
addresses = ["10.77.0.2/24"]
[peer]
address = "127.0.0.1"
client_id = "0011223344556677"
key = "${KEY}"
[[link]]
name = "one"
transport = "${transport}"
`;

inNamespace(import.meta.filename, () => {
  for (const transport of ["udp", "tcp"]) {
    test(`${RECONNECTS} reconnects by ${transport} leave nothing behind`, async (context) => {
      const directory = mkdtempSync(join(tmpdir(), "mpfwd-"));
      context.after(() => rmSync(directory, { recursive: true }));
      const remote = await start(REMOTE, directory);
      const slots: number[] = [];
      const open: number[] = [];
      for (let index = 0; index < RECONNECTS; index += 1) {
        const local = await start(localText(transport), directory);
        await until(() => up(local) && up(remote), `reconnect ${index}`);
        await local.stop();
        await until(() => !up(remote), `goodbye ${index}`);
        slots.push(remote.status().slotsFree);
        open.push(readdirSync("/proc/self/fd").length);
      }
      await remote.stop();
      const grown = Math.max(...open.slice(SETTLED)) - Math.max(...open.slice(0, SETTLED));
      assert.ok(grown <= CLOSING, `descriptors ${open}`);
      // Batches for reception keep what they were filled with.
      const [before, after] = [slots.slice(0, SETTLED), slots.slice(SETTLED)];
      assert.ok(Math.min(...after) >= Math.min(...before) - UNDER_WAY, `free slots ${slots}`);
    });
  }
});

function start(text: string, stateDirectory: string): Promise<RunningPortal> {
  const judgement = judge(text, {
    exposed: null,
    readKeyFile: () => ({ value: Buffer.alloc(32) }),
  });
  assert.ok("config" in judgement, JSON.stringify(judgement));
  const onFailure = (error: Error) => assert.fail(error.message);
  return startPortal(judgement.config, { log: SILENT, version: "0", stateDirectory, onFailure });
}

function up(portal: RunningPortal): boolean {
  return portal.status().peers.some(({ links }) => links.some(({ state }) => state === "up"));
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  while (!holds()) {
    assert.ok(performance.now() < endMs, `${what}: not within ${LIMIT_MS} ms`);
    await sleep(1);
  }
}
