/** What the tests of the guard share: portals to guard, what is forged, and a PATH of few commands. */
import assert from "node:assert/strict";
import { mkdtempSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Child } from "./command.ts";
import { INSTANCE, MAIN, type Machine, type Machines, OUTSIDE, OWN } from "./machine.ts";

const FORGER = fileURLToPath(new URL("load/forger.js", import.meta.url));

export const PORT = 5253;
export const RAW = 253;
export const UDP = 17;
/** Behind the other end of the cable. */
export const ROUTER = { 4: "198.51.100.9", 6: "2001:db8:9::9" } as const;
export const TABLE = `mpfwd_${INSTANCE}`;
export const LIMIT_MS = 10_000;

const SECRET = `client_id = "0011223344556677"
key = "q1dO2Jg5ZJ4pXoGm0W2m1oW7X5d1m8kQeJ3S0c1nN2s="`;

/** A portal with or without its guard. @returns the path of its file */
export function configuration(
  machines: Machines,
  role: "local" | "remote",
  guard: boolean,
  remote: string = OUTSIDE[4],
): string {
  const tunnel = `role = "${role}"
[tunnel]
name = "${INSTANCE}"
addresses = ["10.77.0.2/24"]
guard = ${guard}
`;
  const link = (transport: string) =>
    `[[link]]\nname = "${transport}"\nsource = "${OWN[4]}"\ntransport = "${transport}"\n`;
  const rest = {
    local: `[peer]\naddress = "${remote}"\n${SECRET}\n${link("raw")}${link("udp")}`,
    remote: `[[client]]\nname = "home"\n${SECRET}\ninner = ["10.77.0.9"]\n`,
  };
  return machines.file(`${role}-${guard}-${remote}`, tunnel + rest[role]);
}

/** Sends whole packets from the other end of the cable. */
export async function forge(machine: Machine, packets: readonly Uint8Array[]): Promise<void> {
  const forger = machine.spawnOutside(process.execPath, FORGER);
  forger.write(packets.map((packet) => Buffer.from(packet).toString("hex")).join("\n"));
  const { stdout, stderr } = await forger.done;
  assert.equal(stdout.trim(), String(packets.length), stderr);
}

/** As short as a message can be. */
export const MESSAGE = Buffer.from("9012345600000001", "hex");

export function udp(source: number, destination: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(source, 0);
  header.writeUInt16BE(destination, 2);
  header.writeUInt16BE(header.length + MESSAGE.length, 4);
  return Buffer.concat([header, MESSAGE]);
}

/** A directory that holds these commands and no other. */
export async function binaries(machines: Machines, ...names: string[]): Promise<string> {
  const bin = mkdtempSync(join(machines.directory, "bin-"));
  for (const name of names) await link(machines, name, bin);
  return bin;
}

export async function link(machines: Machines, name: string, bin: string): Promise<void> {
  const { stdout } = await machines.children.run("sh", ["-c", `command -v ${name}`]);
  symlinkSync(stdout.trim(), join(bin, name));
}

/** A Remote Portal that finds its commands in this directory alone. */
export function startWith(machines: Machines, machine: Machine, bin: string): Promise<Child> {
  const portal = machine.spawn(
    ...[
      "env",
      `PATH=${bin}`,
      process.execPath,
      MAIN,
      "up",
      configuration(machines, "remote", true),
    ],
    ...["--state-directory", machine.state],
  );
  return machine.ready(portal);
}
