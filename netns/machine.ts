/**
 * Machines for tests of `mpfwd up`: each a network namespace of this run with one interface, a default
 * route over it, and a state directory of its own. At the other end of the cable is a router.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { askStatus } from "../src/control/client.ts";
import { type Child, Children } from "./command.ts";

export const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const START_LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 20;

/** Both ends of the cable, and the name of the portals that `up` waits for. */
export const OWN = { 4: "192.0.2.2", 6: "2001:db8::2" } as const;
export const OUTSIDE = { 4: "192.0.2.1", 6: "2001:db8::1" } as const;
export const INSTANCE = "tun9";

export class Machines {
  readonly children = new Children();
  readonly directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
  readonly #namespaces: string[] = [];

  async make(): Promise<Machine> {
    const name = `mpfh${process.pid}n${this.#namespaces.length}`;
    const machine = new Machine(this, name);
    for (const namespace of [name, machine.outside]) {
      await this.children.run("ip", ["netns", "add", namespace]);
      this.#namespaces.push(namespace);
    }
    const peer = ["peer", "name", "isp", "netns", machine.outside];
    await machine.ip("link", "add", "wan", "type", "veth", ...peer);
    const inside = endOfCable("wan", OWN);
    const batches: [string, string][] = [
      [name, `${inside}route add default via ${OUTSIDE[4]}\nroute add default via ${OUTSIDE[6]}\n`],
      [machine.outside, endOfCable("isp", OUTSIDE)],
    ];
    for (const [namespace, input] of batches) {
      await this.children.run("ip", ["-n", namespace, "-batch", "-"], { input });
    }
    for (const setting of ["ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1"]) {
      const allow = ["sysctl", "-qw", `net.${setting}`];
      await this.children.run("ip", ["netns", "exec", machine.outside, ...allow]);
    }
    return machine;
  }

  /** Writes a configuration file that only its owner may read. @returns its path */
  file(name: string, text: string): string {
    const path = join(this.directory, `${name}.toml`);
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    return path;
  }

  /** Ends what was started and removes what was made. */
  async end(): Promise<void> {
    await this.children.endAll();
    for (const name of this.#namespaces) await this.children.run("ip", ["netns", "delete", name]);
    rmSync(this.directory, { recursive: true });
  }
}

export class Machine {
  readonly name: string;
  /** The namespace at the other end of the cable. */
  readonly outside: string;
  readonly state: string;
  readonly #children: Children;

  constructor(machines: Machines, name: string) {
    this.name = name;
    this.outside = `${name}o`;
    this.state = join(machines.directory, name);
    this.#children = machines.children;
  }

  async ip(...args: string[]): Promise<string> {
    return (await this.#children.run("ip", ["-n", this.name, ...args])).stdout;
  }

  async nft(input: string, ...args: string[]): Promise<string> {
    const command = ["netns", "exec", this.name, "nft", ...args];
    return (await this.#children.run("ip", command, { input })).stdout;
  }

  /** Everything a portal may change, to compare before and after. */
  async shown(): Promise<string> {
    const parts = [["-br", "address"], ["-4", "route"], ["-6", "route"], ["rule"]];
    const shown = parts.map((part) => this.ip(...part));
    return (await Promise.all([...shown, this.nft("", "list", "ruleset")])).join("--\n");
  }

  /** Starts a program in this namespace. */
  spawn(...command: string[]): Child {
    return this.#children.spawn("ip", ["netns", "exec", this.name, ...command]);
  }

  /** Starts a program at the other end of the cable. */
  spawnOutside(...command: string[]): Child {
    return this.#children.spawn("ip", ["netns", "exec", this.outside, ...command]);
  }

  start(file: string, state = this.state): Child {
    return this.spawn(process.execPath, MAIN, "up", file, "--state-directory", state);
  }

  /** Starts a portal and waits until it has done everything. */
  up(file: string): Promise<Child> {
    return this.ready(this.start(file));
  }

  /** Waits until a portal of this machine answers. */
  async ready(child: Child): Promise<Child> {
    for (let waitedMs = 0; waitedMs < START_LIMIT_MS && !child.ended; waitedMs += LOOK_AGAIN_MS) {
      const status = await askStatus(this.state, INSTANCE).catch(() => null);
      if (status !== null) return child;
      await sleep(LOOK_AGAIN_MS);
    }
    throw new Error(`the portal did not start: ${child.stderr}`);
  }
}

/** Lines of `ip -batch -`. */
function endOfCable(device: string, address: Readonly<Record<4 | 6, string>>): string {
  return `link set lo up
link set ${device} up
address add ${address[4]}/24 dev ${device}
address add ${address[6]}/64 dev ${device} nodad
`;
}
