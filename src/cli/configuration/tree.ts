/** The parsed TOML tree before anything is known about it: reading parts that may be missing or of another kind. */
import type { KeyPath } from "./locate.ts";

export type Tree = Readonly<Record<string, unknown>>;

export function isTable(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isDate(value);
}

/** The value at `path`, undefined where the tree has none. */
export function valueAt(tree: unknown, path: KeyPath): unknown {
  let value = tree;
  for (const step of path) {
    if (typeof step === "number") value = Array.isArray(value) ? value[step] : undefined;
    else value = isTable(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

/** The texts in the list at `path`, each with its own path; what is no text is left out. */
export function textsAt(tree: unknown, path: KeyPath): { path: KeyPath; text: string }[] {
  const list = valueAt(tree, path);
  if (!Array.isArray(list)) return [];
  return list.flatMap((text, index) =>
    typeof text === "string" ? [{ path: [...path, index], text }] : [],
  );
}

/** The tables in the list at `path`, each with its own path. */
export function tablesAt(tree: unknown, path: KeyPath): { path: KeyPath; table: Tree }[] {
  const list = valueAt(tree, path);
  if (!Array.isArray(list)) return [];
  return list.flatMap((table, index) =>
    isTable(table) ? [{ path: [...path, index], table }] : [],
  );
}

/** What a TOML value is, for "this is a number". */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isDate(value)) return "a date or time";
  if (isTable(value)) return "a table";
  if (typeof value === "string") return "text";
  return typeof value === "number" || typeof value === "bigint" ? "a number" : "true or false";
}

function isDate(value: unknown): boolean {
  return value instanceof Date;
}
