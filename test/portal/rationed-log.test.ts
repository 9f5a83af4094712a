/** How many lines of one kind peers may cause in a log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { RationedLog } from "../../src/portal/rationed-log.ts";

function scene() {
  const lines: string[] = [];
  return { lines, moves: new RationedLog({ info: (text) => lines.push(text), warn: assert.fail }) };
}

test("a client that moves with 16 links by two transports is told of whole", () => {
  const { lines, moves } = scene();
  for (let link = 0; link < 32; link += 1) moves.info(7 * SECOND, `home: link ${link} moved`);
  assert.equal(lines.length, 32);
  assert.equal(lines[31], "home: link 31 moved");
});

test("a thousand clients that roam all the time cause a line a second, and none is uncounted", () => {
  const { lines, moves } = scene();
  const seconds = 60;
  const all = seconds * 1_000;
  for (let i = 0; i < all; i += 1) moves.info(i * MS, "away: link 0 moved");
  assert.ok(lines.length <= 32 + seconds, `${lines.length} lines`);
  assert.ok(lines.length >= 32 + seconds - 1, `${lines.length} lines`);
  moves.info(2 * seconds * SECOND, "away: link 0 moved");
  const untold = lines.map((line) => Number(/ \((\d+) like it before/.exec(line)?.[1] ?? 0));
  assert.equal(lines.length + untold.reduce((sum, n) => sum + n, 0), all + 1);
});
