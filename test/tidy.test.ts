/**
 * The rules of this tree that no compiler checks: who may import whom, what a pure layer may touch,
 * how long a file may be, and that its header says what it is.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** Who may import whom. A folder may also import itself. The same table is drawn in src/README.md. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  wire: ["core"],
  cc: ["core"],
  link: ["core", "wire", "cc"],
  bond: ["core", "wire", "cc", "link"],
  session: ["core", "wire"],
  ladder: ["core", "wire"],
  pmtu: ["core", "wire"],
  probe: ["core", "wire"],
  native: ["core"],
  io: ["core", "native"],
  host: ["core"],
  portal: [
    "core",
    "wire",
    "cc",
    "link",
    "bond",
    "session",
    "ladder",
    "pmtu",
    "probe",
    "native",
    "io",
    "host",
  ],
  prober: ["core", "wire", "session", "probe", "native", "io"],
  control: ["core", "portal"],
  cli: ["core", "wire", "native", "io", "host", "probe", "prober", "portal", "control"],
};
const PURE = ["core", "wire", "cc", "link", "bond", "session", "ladder", "pmtu", "probe"];
const IMPURE =
  /Date\.now|performance\.|set(Timeout|Interval|Immediate)\(|process\.[a-z]|Math\.random|randomBytes|\bawait\b|from "node:(?!crypto)/;
const LINES_MAX = 350;

/** Paths below `folder`, with what they hold. */
function sourcesOf(folder: string): { path: string; text: string }[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const paths = names.filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`);
  return paths.map((path) => ({ path, text: readFileSync(path, "utf8") }));
}

test("every layer has its row in the table", () => {
  const folders = readdirSync("src", { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  const names = folders.map(({ name }) => name).sort();
  assert.deepEqual(names, Object.keys(MAY_IMPORT).sort());
});

for (const [layer, allowed] of Object.entries(MAY_IMPORT)) {
  for (const { path, text } of sourcesOf(`src/${layer}`)) {
    test(`${path} imports downwards only`, () => {
      const imported = [...text.matchAll(/from "(?:\.\.\/)+([a-z]+)\//g)].map(([, name]) => name);
      const own = imported.filter((name) => name !== layer && !allowed.includes(name ?? ""));
      assert.deepEqual(own, []);
    });
    if (PURE.includes(layer)) test(`${path} is pure`, () => assert.doesNotMatch(text, IMPURE));
  }
}

for (const folder of ["src", "test", "netns"]) {
  for (const { path, text } of sourcesOf(folder)) {
    test(`${path} is short enough to be read`, () => {
      assert.ok(text.split("\n").length <= LINES_MAX, `more than ${LINES_MAX} lines`);
    });
  }
}

test("every file says first what it is", () => {
  const silent = ["src", "test", "netns"]
    .flatMap((folder) => sourcesOf(folder))
    .filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text));
  assert.deepEqual(
    silent.map(({ path }) => path),
    [],
  );
});

test("what is run is what there are sources of, not what was compiled once", () => {
  const scripts = readdirSync("scripts").map((name) => `scripts/${name}`);
  const found = ["package.json", ...scripts].filter((path) =>
    /find dist|dist\/\S*\*\S*test/.test(readFileSync(path, "utf8")),
  );
  assert.deepEqual(found, []);
});
