/**
 * `mpfwd capture`: writes what a running portal sends and receives on the wire into a pcap file. The
 * portal records, this process writes: the file belongs to whoever runs it. Ends at a limit, on a
 * signal, or with the portal.
 */
import { type FileHandle, open } from "node:fs/promises";
import { CaptureConnection } from "../control/capture-client.ts";
import { MpfwdError } from "../core/errors.ts";
import { EXIT } from "./exit.ts";
import { instanceOf, onlyInstance } from "./instance.ts";
import { PCAP_HEADER_OCTETS, pcapHeader, takeRecords } from "./pcap.ts";

/** Standard output instead of a file. */
const STDOUT = "-";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface CaptureCommand {
  readonly link?: string;
  /** Octets of the file. */
  readonly size: number;
  /** Seconds. */
  readonly duration: number;
  /** Octets of each packet. */
  readonly snap: number;
  readonly stateDirectory: string;
}

/** @returns the exit code */
export async function capture(
  file: string,
  which: string | undefined,
  command: CaptureCommand,
): Promise<number> {
  if (file === STDOUT && process.stdout.isTTY) {
    throw new MpfwdError("ERR_USAGE", "a terminal cannot show packets; try: | tcpdump -r -");
  }
  const { stateDirectory, snap, link = null } = command;
  const name =
    which === undefined ? await onlyInstance(stateDirectory) : instanceOf(which, stateDirectory);
  const connection = await CaptureConnection.begin(stateDirectory, name, {
    snapOctets: snap,
    link,
  });
  const target = await openTarget(file).catch((error: unknown) => {
    connection.close();
    throw error;
  });
  const release = stopInTime(connection, command.duration);
  process.stderr.write(`capturing ${name}\n`);
  const written = { packets: 0, octets: PCAP_HEADER_OCTETS };
  try {
    await target.write(pcapHeader(snap));
    await copy(connection, target, command.size, written);
  } finally {
    release();
    connection.close();
    await target.close();
    process.stderr.write(`${summary(written, connection.missed)}\n`);
  }
  return EXIT.ok;
}

interface Target {
  write(octets: Buffer): Promise<void>;
  close(): Promise<void>;
}

interface Written {
  packets: number;
  octets: number;
}

async function copy(
  connection: CaptureConnection,
  target: Target,
  sizeMax: number,
  written: Written,
): Promise<void> {
  let full = false;
  for await (const records of connection.records()) {
    // What comes after the limit only tells the end.
    if (full) continue;
    const { octets, packets } = takeRecords(records, sizeMax - written.octets);
    await target.write(records.subarray(0, octets));
    written.octets += octets;
    written.packets += packets;
    full = octets < records.length;
    if (full) connection.stop();
  }
}

/** Stops at the first signal and when the time is over. @returns what takes both back */
function stopInTime(connection: CaptureConnection, seconds: number): () => void {
  const stop = () => connection.stop();
  for (const signal of SIGNALS) process.once(signal, stop);
  const timer = Number.isFinite(seconds) ? setTimeout(stop, seconds * 1000) : undefined;
  return () => {
    for (const signal of SIGNALS) process.off(signal, stop);
    clearTimeout(timer);
  };
}

async function openTarget(file: string): Promise<Target> {
  if (file === STDOUT) return { write: writeOut, close: async () => {} };
  let handle: FileHandle;
  try {
    // What a tunnel carries is not for everybody's eyes.
    handle = await open(file, "w", 0o600);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MpfwdError("ERR_USAGE", `cannot write ${file}: ${reason}`, cause);
  }
  return { write: (octets) => writeFile(handle, file, octets), close: () => handle.close() };
}

async function writeFile(handle: FileHandle, file: string, octets: Buffer): Promise<void> {
  try {
    await handle.writeFile(octets);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MpfwdError("ERR_HOST", `cannot write ${file}: ${reason}`, cause);
  }
}

function writeOut(octets: Buffer): Promise<void> {
  return new Promise((resolve) => process.stdout.write(octets, () => resolve()));
}

function summary({ packets, octets }: Written, missed: number | null): string {
  const kept = `${packets} packets captured, ${octets} octets`;
  if (missed === null) return `${kept}; the end did not come from the portal`;
  if (missed === 0) return kept;
  return `${kept}; ${missed} packets missed, for they came faster than they could be written (--snap 128 keeps headers only)`;
}
