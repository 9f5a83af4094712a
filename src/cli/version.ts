/** The version, from the package's own description, for compiled code and for sources run as they are. */
import { readFileSync } from "node:fs";

const CANDIDATES = ["../../package.json", "../../../package.json"];

export function readVersion(): string {
  for (const candidate of CANDIDATES) {
    try {
      const text = readFileSync(new URL(candidate, import.meta.url), "utf8");
      const { name, version } = JSON.parse(text) as { name?: string; version?: string };
      if (name === "mpfwd" && version !== undefined) return version;
    } catch {
      // The other layout.
    }
  }
  return "unknown";
}
