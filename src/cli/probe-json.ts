/** What `mpfwd probe --json` prints: everything measured and judged, under a schema number. */
import type { LinkMeasurement } from "../probe/measurement.ts";
import type { TraceResult } from "../probe/tracer.ts";
import type { LinkVerdict } from "../probe/verdict.ts";

/** Counts up when a field changes its meaning or goes; new fields do not count. */
export const PROBE_SCHEMA = 1;

export interface ProbedResult {
  readonly name: string;
  readonly device: string | null;
  readonly source: string | null;
  /** As resolved. */
  readonly remote: string;
  readonly measurement: LinkMeasurement;
  readonly verdict: LinkVerdict;
  /** Null: was not asked for. */
  readonly trace: TraceResult | null;
}

export interface ProbeDocument {
  readonly schema: typeof PROBE_SCHEMA;
  readonly version: string;
  readonly port: number;
  readonly protocol: number;
  /** Bits a second for each link and direction. */
  readonly rate: number;
  readonly seconds: number;
  readonly links: readonly ProbedResult[];
  /** The worst of all links. */
  readonly exitCode: number;
}

export function probeJson(document: ProbeDocument): string {
  return `${JSON.stringify(document)}\n`;
}
