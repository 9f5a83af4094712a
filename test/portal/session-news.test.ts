/** What clients may make a Remote Portal's log say of their sessions, and what is told however many there are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PATH_OCTETS } from "../../src/core/arena.ts";
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { SessionNews } from "../../src/portal/session-news.ts";
import { Contest } from "../../src/session/contest.ts";

function scene(clients: number) {
  const lines: string[] = [];
  const warnings: string[] = [];
  const log = {
    info: (text: string) => lines.push(text),
    warn: (text: string) => warnings.push(text),
  };
  const names = Array.from({ length: clients }, (_, index) => `client ${index}`);
  return { lines, warnings, news: new SessionNews(log, names) };
}

test("the first session of each of a thousand clients is told, though all come at once", () => {
  const { lines, news } = scene(1_000);
  for (let client = 0; client < 1_000; client += 1) news.established(7 * SECOND, client);
  assert.equal(lines.length, 1_000);
  assert.equal(lines[999], "client 999: session established");
});

test("a client that begins anew now and then is told of whole", () => {
  const { lines, news } = scene(2);
  for (let hour = 0; hour < 100; hour += 1) {
    const nowUs = hour * 3_600 * SECOND;
    for (let again = 0; again < 5; again += 1) {
      news.established(nowUs, 1);
      news.note(nowUs, 1, "session ended (replaced)");
    }
  }
  assert.equal(lines.length, 1_000);
});

test("two hundred clients that begin twice a second write a line a second, and none is uncounted", () => {
  const { lines, news } = scene(200);
  const seconds = 60;
  let all = 0;
  for (let nowUs = 0; nowUs < seconds * SECOND; nowUs += 500 * MS) {
    for (let client = 0; client < 200; client += 1, all += 2) {
      news.established(nowUs, client);
      news.note(nowUs, client, "session ended (replaced)");
    }
  }
  assert.ok(lines.length <= 200 + 64 + seconds, `${lines.length} lines of ${all}`);
  for (let client = 0; client < 200; client += 1, all += 1) {
    news.note((1 + client) * 3_600 * SECOND, client, "session ended (expired)");
  }
  const untold = lines.map((line) => Number(/ \((\d+) like it before/.exec(line)?.[1] ?? 0));
  assert.equal(lines.length + untold.reduce((sum, count) => sum + count, 0), all);
});

test("one client that begins anew all the time leaves the others their lines", () => {
  const { lines, news } = scene(2);
  for (let nowUs = 0; nowUs < 600 * SECOND; nowUs += 500 * MS) news.established(nowUs, 0);
  const before = lines.length;
  assert.ok(before <= 1 + 12 + 20, `${before} lines`);
  news.established(600 * SECOND, 1);
  news.note(600 * SECOND, 1, "session ended (closed)");
  assert.equal(lines.length, before + 2);
});

test("the links of sessions that begin all the time are rationed too, and none of their lines is uncounted", () => {
  const { lines, warnings, news } = scene(2);
  const seconds = 600;
  let all = 0;
  for (let nowUs = 0; nowUs < seconds * SECOND; nowUs += 500 * MS) {
    for (let link = 0; link < 16; link += 1, all += 2) {
      news.link(nowUs, 0, "info", `link ${link} is up, raw (1 link carries packets)`);
      news.link(nowUs, 0, "warn", `link ${link} does not answer`);
    }
  }
  const told = lines.length + warnings.length;
  assert.ok(told <= 96 + seconds / 5, `${told} lines of ${all}`);
  news.link(seconds * SECOND, 1, "warn", "link 0 does not answer");
  assert.equal(warnings.at(-1), "client 1: link 0 does not answer", "the other one has its own");
  news.link(2 * seconds * SECOND, 0, "info", "link 0 is back");
  const counted = [...lines, ...warnings].map((line) =>
    Number(/ \((\d+) like it before/.exec(line)?.[1] ?? 0),
  );
  assert.equal(lines.length + warnings.length + counted.reduce((sum, n) => sum + n, 0), all + 2);
});

function pathOf(...remote: number[]): Path {
  const path = new Uint8Array(PATH_OCTETS);
  path[PATH_AT.family] = 4;
  path.set(remote, PATH_AT.remote);
  return path;
}

test("two machines with one key are named once an hour as long as they contend, with the mend", () => {
  const { warnings, news } = scene(1);
  const machines = [pathOf(192, 0, 2, 7), pathOf(198, 51, 100, 9)] as const;
  const contest = new Contest();
  for (let second = 0; second < 90 * 60; second += 1) {
    const [had, by] = second % 2 === 0 ? machines : [machines[1], machines[0]];
    const contenders = contest.replaced(second * SECOND, [had], by);
    if (contenders !== null) news.contested(second * SECOND, 0, contenders);
  }
  assert.equal(warnings.length, 2);
  assert.match(warnings[0] ?? "", /^client 0: used from /);
  for (const address of [/ 192\.0\.2\.7 /, / 198\.51\.100\.9 /])
    assert.match(warnings[0] ?? "", address);
  assert.match(
    warnings[0] ?? "",
    /two machines have the same key; stop one, or give it a client of its own/,
  );
});
