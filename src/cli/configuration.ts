/**
 * Reads a configuration file: all its faults in one run, or the configuration of a portal. A file
 * that carries a key, and a key file, must be readable by their owner only. Nothing on the machine
 * is changed here, and no key ever appears in a message.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { MpfwdError } from "../core/errors.ts";
import type { PortalConfig } from "../portal/config.ts";
import { faultText, type PlacedFault } from "./configuration/fault.ts";
import { type Judgement, judge } from "./configuration/judge.ts";
import { type Reading, readKey } from "./configuration/values.ts";

/** A thousand clients need a fifth of this. */
const FILE_OCTETS_MAX = 1_048_576;
const KEY_FILE_OCTETS_MAX = 4096;
/** Permission bits of group and others. */
const OTHERS = 0o077;

/** @throws MpfwdError ERR_CONFIG when the file cannot be read at all */
export function judgeFile(file: string): Judgement {
  const { text, mode } = readText(file);
  const exposed =
    (mode & OTHERS) === 0
      ? null
      : { what: "the file with this key is open to others", expected: mendMode(file) };
  return judge(text, { exposed, readKeyFile: (path) => readKeyFile(file, path) });
}

/** @throws MpfwdError ERR_CONFIG that shows all faults */
export function readConfiguration(file: string): PortalConfig {
  const judgement = judgeFile(file);
  if ("config" in judgement) return judgement.config;
  throw new MpfwdError("ERR_CONFIG", faultsText(file, judgement.faults));
}

export function faultsText(file: string, faults: readonly PlacedFault[]): string {
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  const shown = faults.map((fault) => faultText(file, fault));
  return [...shown, `${count} in ${file}; nothing was changed`].join("\n\n");
}

/** The text of a file that carries a key: open to its owner only. @throws MpfwdError ERR_CONFIG */
export function readSecret(file: string): string {
  let read: { text: string; mode: number };
  try {
    read = readOctets(file, KEY_FILE_OCTETS_MAX);
  } catch (error) {
    throw new MpfwdError("ERR_CONFIG", `cannot read ${file}: ${reasonOf(error)}`, error);
  }
  if ((read.mode & OTHERS) === 0) return read.text;
  const text = `${file}: the key file is open to others; ${mendMode(file)}`;
  throw new MpfwdError("ERR_CONFIG", text);
}

function readKeyFile(file: string, path: string): Reading<Uint8Array> {
  const absolute = resolve(dirname(file), path);
  let read: { text: string; mode: number };
  try {
    read = readOctets(absolute, KEY_FILE_OCTETS_MAX);
  } catch (error) {
    return { wrong: `cannot read the key file: ${reasonOf(error)}` };
  }
  if ((read.mode & OTHERS) !== 0) {
    return { wrong: "the key file is open to others", expected: mendMode(absolute) };
  }
  const reading = readKey(read.text.trim());
  return "value" in reading ? reading : { wrong: `the key file is wrong: ${reading.wrong}` };
}

function mendMode(file: string): string {
  return `mode 0600; mend it with: chmod 600 ${file}`;
}

function readText(file: string): { text: string; mode: number } {
  try {
    return readOctets(file, FILE_OCTETS_MAX);
  } catch (error) {
    throw new MpfwdError("ERR_CONFIG", `cannot read ${file}: ${reasonOf(error)}`, error);
  }
}

/** Mode and content of one and the same file, even when it is replaced meanwhile. */
function readOctets(file: string, most: number): { text: string; mode: number } {
  const descriptor = openSync(file, "r");
  try {
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) throw new Error("it is a directory");
    const octets = Buffer.alloc(most + 1);
    let length = 0;
    while (length <= most) {
      const count = readSync(descriptor, octets, length, octets.length - length, null);
      if (count === 0) break;
      length += count;
    }
    if (length > most) throw new Error(`it is longer than ${most} octets`);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(octets.subarray(0, length));
    return { text, mode: stat.mode };
  } finally {
    closeSync(descriptor);
  }
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES") return "permission denied";
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return "it is not UTF-8 text";
  return error instanceof Error ? error.message : String(error);
}
