/** `--link NAME[,key=value]...` of `mpfwd init`: the short form of a `[[link]]` table. */
import * as v from "valibot";
import { MpfwdError } from "../core/errors.ts";
import { linkTable } from "./configuration/schema.ts";
import { nearestWord } from "./configuration/suggest.ts";

/** The keys of a `[[link]]` table that were given, as they go into the file. */
export type LinkOption = Readonly<Record<string, string | number>>;

const KEYS = ["device", "source", "remote", "transport", "min_transport", "mtu", "metric"];
const NUMBERS = new Set(["mtu", "metric"]);

/** @throws MpfwdError ERR_USAGE */
export function readLinkOption(text: string): LinkOption {
  const [name = "", ...pairs] = text.split(",");
  const link: Record<string, string | number> = { name };
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const key = pair.slice(0, Math.max(0, equals));
    const value = pair.slice(equals + 1);
    if (!KEYS.includes(key)) throw unknownKey(text, equals < 0 ? pair : key);
    link[key] = NUMBERS.has(key) ? Number(value) : value;
  }
  const result = v.safeParse(linkTable, link);
  if (result.success) return link;
  const [issue] = result.issues;
  const where = issue.path?.at(-1)?.key ?? "name";
  const expected = issue.kind === "schema" ? issue.message : issue.expected;
  throw new MpfwdError("ERR_USAGE", `--link ${text}: ${where} must be ${expected}`);
}

function unknownKey(text: string, key: string): MpfwdError {
  const near = nearestWord(key, KEYS);
  const hint = near === undefined ? `known are ${KEYS.join(", ")}` : `did you mean ${near}=?`;
  return new MpfwdError("ERR_USAGE", `--link ${text}: unknown "${key}"; ${hint}`);
}
