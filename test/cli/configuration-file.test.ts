/** What a configuration file and a key file must be on the disk: readable text, and closed to others with a key in it. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readConfiguration } from "../../src/cli/configuration.ts";
import { MpfwdError } from "../../src/core/errors.ts";
import { KEY, LOCAL } from "./configuration-texts.ts";

const directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string | Buffer, mode: number): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function refusal(path: string): string {
  let message = "";
  assert.throws(
    () => readConfiguration(path),
    (error) => {
      assert.ok(error instanceof MpfwdError && error.code === "ERR_CONFIG");
      message = error.message;
      return true;
    },
  );
  return message;
}

test("a file with a key that others may read is refused with the command that mends it", () => {
  for (const mode of [0o640, 0o604, 0o644]) {
    const path = file("open.toml", LOCAL, mode);
    assert.match(refusal(path), new RegExp(`chmod 600 ${path}`));
  }
  assert.equal(readConfiguration(file("mine.toml", LOCAL, 0o600)).role, "local");
});

test("a key may stand in a file of its own, relative to the configuration", () => {
  const text = LOCAL.replace(`key = "${KEY}"`, 'key_file = "client.key"');
  const path = file("split.toml", text, 0o644);
  const key = file("client.key", `${KEY}\n`, 0o600);
  const config = readConfiguration(path);
  assert.ok(config.role === "local");
  assert.deepEqual([...config.key], [...Buffer.from(KEY, "base64")]);
  chmodSync(key, 0o640);
  assert.match(refusal(path), new RegExp(`the key file is open to others(.|\\n)*chmod 600 ${key}`));
  file("client.key", `${KEY}${KEY}`, 0o600);
  assert.match(refusal(path), /the key file is wrong/);
  rmSync(key);
  assert.match(refusal(path), /cannot read the key file: no such file/);
});

const unreadable: [name: string, path: string, said: RegExp][] = [
  ["that is missing", join(directory, "none.toml"), /no such file/],
  ["that is a directory", directory, /it is a directory/],
  ["that is no text", file("binary", Buffer.from([0xff, 0xfe, 0]), 0o600), /not UTF-8/],
  ["without end", "/dev/zero", /longer than/],
];
for (const [name, path, said] of unreadable) {
  test(`a file ${name} is refused`, () => assert.match(refusal(path), said));
}
