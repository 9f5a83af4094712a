/**
 * Faults of shape: what valibot says of a tree, and keys that no schema knows, as our own faults.
 * Pure; places are found later.
 */
import * as v from "valibot";
import type { Fault } from "./fault.ts";
import type { KeyPath } from "./locate.ts";
import { nearestWord } from "./suggest.ts";
import { isTable, kindOf, type Tree } from "./tree.ts";

/** The parts of any schema of ours that can be walked. */
interface AnySchema {
  readonly type: string;
  readonly message?: unknown;
  readonly entries?: Readonly<Record<string, AnySchema>>;
  readonly item?: AnySchema;
  readonly wrapped?: AnySchema;
}

/** What a tree becomes under a schema, or its faults. */
export function readShape<Schema extends v.GenericSchema>(
  schema: Schema,
  tree: Tree,
): { readonly output: v.InferOutput<Schema> | null; readonly faults: readonly Fault[] } {
  const unknown = unknownKeys(schema as unknown as AnySchema, tree, []);
  const result = v.safeParse(schema, tree);
  if (result.success) return { output: result.output, faults: unknown };
  const misspelt = new Set(unknown.map((fault) => fault.suggestion));
  const faults = result.issues.map((issue) => faultOf(issue, schema as unknown as AnySchema));
  return {
    output: null,
    // A missing key that stands there misspelt is one fault, not two.
    faults: [...unknown, ...faults.filter(({ missing }) => !missing || !misspelt.has(missing))],
  };
}

function faultOf(
  issue: v.BaseIssue<unknown>,
  schema: AnySchema,
): Fault & { readonly missing?: string } {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const last = issue.path?.at(-1);
  if (issue.kind === "schema" && last?.type === "object" && last.origin === "key") {
    const expected = messageOf(schemaAt(schema, path));
    const missing = JSON.stringify(String(last.key));
    const where = tableName(path.slice(0, -1));
    return { path, what: `missing key ${missing} in ${where}`, missing, ...given(expected) };
  }
  if (issue.kind !== "schema") return { path, what: issue.message, ...given(issue.expected) };
  const choices = [...(issue.expected ?? "").matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? "");
  const word = typeof issue.input === "string" ? issue.input : "";
  const near = issue.type === "picklist" ? nearestWord(word, choices) : undefined;
  const what =
    issue.type === "picklist" && isPlain(issue.input)
      ? `${JSON.stringify(issue.input)} is not known here`
      : `this is ${kindOf(issue.input)}`;
  const suggestion = near === undefined ? {} : { suggestion: JSON.stringify(near) };
  return { path, what, ...given(issue.message), ...suggestion };
}

/** Keys that the schema does not name, anywhere in the tree. */
function unknownKeys(schema: AnySchema, value: unknown, path: KeyPath): Fault[] {
  const inner = schema.wrapped ?? schema;
  if (inner.item !== undefined && Array.isArray(value)) {
    const item = inner.item;
    return value.flatMap((element, index) => unknownKeys(item, element, [...path, index]));
  }
  if (inner.entries === undefined || !isTable(value)) return [];
  const entries = inner.entries;
  return Object.keys(value).flatMap((name) => {
    const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
    if (entry !== undefined) return unknownKeys(entry, value[name], [...path, name]);
    return [unknownKey(name, Object.keys(entries), path)];
  });
}

function unknownKey(name: string, known: readonly string[], path: KeyPath): Fault {
  const near = nearestWord(name, known);
  return {
    path: [...path, name],
    at: "key",
    what: `unknown key ${JSON.stringify(name)} in ${tableName(path)}`,
    expected: `one of ${known.join(", ")}`,
    ...(near === undefined ? {} : { suggestion: JSON.stringify(near) }),
  };
}

/** `[peer]`, `[[link]]`, "the file". */
export function tableName(path: KeyPath): string {
  const names = path.filter((step) => typeof step === "string").join(".");
  if (names === "") return "the file";
  return typeof path.at(-1) === "number" ? `[[${names}]]` : `[${names}]`;
}

function schemaAt(schema: AnySchema, path: KeyPath): AnySchema | undefined {
  let at: AnySchema | undefined = schema;
  for (const step of path) {
    const inner: AnySchema | undefined = at?.wrapped ?? at;
    at = typeof step === "number" ? inner?.item : inner?.entries?.[step];
  }
  return at;
}

function messageOf(schema: AnySchema | undefined): string | null {
  const message = (schema?.wrapped ?? schema)?.message;
  return typeof message === "string" ? message : null;
}

function given(expected: string | null): { expected?: string } {
  return expected === null || expected === "" ? {} : { expected };
}

function isPlain(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number";
}
