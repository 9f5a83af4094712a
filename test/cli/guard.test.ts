/** The guard in the life of `mpfwd up`, with a command `nft` that is made up. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { judge } from "../../src/cli/configuration/judge.ts";
import { openGuard } from "../../src/cli/guard.ts";
import { Steps } from "../../src/cli/steps.ts";
import type { Log } from "../../src/core/log.ts";

const CONFIG = `role = "remote"
[tunnel]
name = "far0"
addresses = ["10.77.0.1/24"]
[[client]]
name = "one"
client_id = "0011223344556677"
key = "${Buffer.alloc(32, 7).toString("base64")}"
inner = ["10.77.0.2"]
`;

/** Installs the table and fails all the same, as one that was stopped after its work. */
const NFT = `#!/bin/sh
case "$1" in
  -f) cat > /dev/null; echo "table inet mpfwd_far0" > "$NFT_TABLES"; echo "it took too long" >&2; exit 1 ;;
  list) cat "$NFT_TABLES" ;;
  delete) : > "$NFT_TABLES" ;;
esac
`;

test("a guard that is there although nft has failed is removed at the end", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "mpfwd-"));
  const { PATH } = process.env;
  context.after(() => {
    process.env["PATH"] = PATH;
    rmSync(directory, { recursive: true });
  });
  const tables = join(directory, "tables");
  writeFileSync(join(directory, "nft"), NFT);
  chmodSync(join(directory, "nft"), 0o755);
  process.env["PATH"] = `${directory}:${PATH}`;
  process.env["NFT_TABLES"] = tables;
  const judgement = judge(CONFIG, { exposed: null, readKeyFile: () => assert.fail() });
  assert.ok("config" in judgement);
  const said: string[] = [];
  const log: Log = { info() {}, warn: (text) => said.push(text), error: (text) => said.push(text) };
  const steps = new Steps();
  assert.equal(await openGuard(judgement.config, steps, log), null);
  assert.match(said.join(), /no guard: it took too long/);
  assert.ok(existsSync(tables));
  assert.equal(await steps.unwind(log), true);
  assert.equal(readFileSync(tables, "utf8"), "");
});
