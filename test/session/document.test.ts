/** The numbers of docs/protocol.md are those of the code. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import * as limits from "../../src/session/limits.ts";
import { addedOctets } from "../../src/wire/overhead.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { octetsOf, readVectors } from "./vectors.ts";

const text = readFileSync("docs/protocol.md", "utf8").replaceAll(/\s+/g, " ");
const rows = readFileSync("docs/protocol.md", "utf8")
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

test("the first lines say that content is not hidden", () => {
  assert.match(text.slice(0, 200), /authenticates and does not hide/);
});

test("every message type stands in the table with its number and length", () => {
  const { messages } = readVectors();
  for (const [name, type] of Object.entries(TYPE)) {
    const row = rows.find(([number, word]) => number === `${type}` && word === name.toUpperCase());
    assert.ok(row, name);
    const vector = messages[name];
    if (vector !== undefined) assert.equal(row.at(-1), `${octetsOf(vector).length}`, name);
  }
});

for (const transport of TRANSPORTS) {
  for (const [ordered, links] of [
    [false, "one live link"],
    [true, "several live links"],
  ] as const) {
    test(`the octets added by ${transport} with ${links} are those of the code`, () => {
      const name = transport === "raw" ? "raw" : transport.toUpperCase();
      const row = rows.find(([first]) => first === `${name}, ${links}`) ?? assert.fail();
      const added = ([4, 6] as const).map((family) =>
        addedOctets({ transport, family, tagOctets: 10 }, ordered),
      );
      assert.deepEqual(row.slice(1).map(Number), added);
    });
  }
}

// biome-ignore format: a table reads in columns
const sentences: [sentence: string, value: number, limit: number][] = [
  ["again every second for 10 s", SECOND, limits.INIT_PAUSES[0]?.pauseUs ?? 0],
  ["for 10 s, then every 2 s", 10 * SECOND, limits.INIT_PAUSES[1]?.fromUs ?? 0],
  ["then every 2 s, after a minute", 2 * SECOND, limits.INIT_PAUSES[1]?.pauseUs ?? 0],
  ["after a minute every 5 s", 60 * SECOND, limits.INIT_PAUSES[2]?.fromUs ?? 0],
  ["every 5 s, each pause up to 1/8 longer", 5 * SECOND, limits.INIT_PAUSES[2]?.pauseUs ?? 0],
  ["After 20 s the next repeat has a new ephemeral key", 20 * SECOND, limits.INIT_LIFETIME_US],
  ["at most 1024 answered handshakes", 1024, limits.PENDING_MAX],
  ["at most 4 of one client, 30 s each", 4, limits.PENDING_PER_CLIENT_MAX],
  ["30 s each, the oldest gives way", 30 * SECOND, limits.PENDING_LIFETIME_US],
  ["one INIT at most 768 times", 768, limits.REPLIES_PER_PENDING_MAX],
  ["at most 20 a second in all (burst 20)", 20, limits.HANDSHAKES_PER_SECOND],
  ["1 a second of the client (burst 4)", 4, limits.CLIENT_HANDSHAKES_BURST],
  ["RETRY, at most 30 a second (burst 300)", 300, limits.RETRIES_BURST],
  ["2 a second of a client (burst 16)", 16, limits.COOKIE_HANDSHAKES_BURST],
  ["changes every 120 s", 120 * SECOND, limits.COOKIE_SECRET_US],
  ["accepted for 10 s more", 10 * SECOND, limits.OVERLAP_US],
  ["The client rekeys every hour (or more often, as it likes)", 3600 * SECOND, limits.REKEY_AFTER_US],
  ["before 2^27 packets", 2 ** 27, limits.REKEY_PACKETS],
  ["without rekey ends after 2 h", 7200 * SECOND, limits.SESSION_LIFETIME_US],
  ["ends 20 min after its confirmation", 1200 * SECOND, limits.PROBE_LIFETIME_US],
  ["challenged on for 15 s", 15 * SECOND, limits.ATTACH_PATIENCE_US],
  ["After a refusal it waits 30 s", 30 * SECOND, limits.REFUSED_RETRY_US],
  ["after CONTROL close 1 s", SECOND, limits.CLOSED_RETRY_US],
  ["after 0.2, 0.4, 0.8, 1.6, then every 3 s", 0.2 * SECOND, limits.ATTACH_INTERVAL_US],
  ["1.6, then every 3 s", 3 * SECOND, limits.ATTACH_INTERVAL_MAX_US],
  ["within 1 s of that by another transport", SECOND, limits.LATE_ATTACH_US],
  ["again every 0.5 s", 0.5 * SECOND, limits.ROAM_REPEAT_US],
  ["for 3 s at the most", 3 * SECOND, limits.ROAM_TIMEOUT_US],
  ["at most 3 times the octets", 3, limits.AMPLIFICATION_MAX],
  ["the link moves 200 ms later", 0.2 * SECOND, limits.ROAM_GRACE_US],
  ["and once more every 50 ms", 0.05 * SECOND, limits.ROAM_GRACE_REPEAT_US],
  ["begins 1 s after the last", SECOND, limits.ROAM_COOLDOWN_US],
  ["At most 10 a second are sent (burst 20)", 20, limits.RESETS_BURST],
  ["at most every 0.2 s a link", 0.2 * SECOND, limits.PING_INTERVAL_US],
  ["every 0.05 s for the 10 s", 0.05 * SECOND, limits.PING_HURRY_INTERVAL_US],
  ["at most 4096 links", 4096, limits.TOMBSTONES_MAX],
];

for (const [sentence, value, limit] of sentences) {
  test(`the document's "${sentence}" is what the code does`, () => {
    assert.ok(text.includes(sentence));
    assert.equal(value, limit);
  });
}
