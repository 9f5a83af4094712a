/**
 * A lab: namespaces, cables, routes, rates and emulators, built as one and taken down as one. What
 * runs in it is started through it and ended with it. Its state lies in `stateDirectory`, so that
 * another process can use it, or remove it when the one that made it was killed.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MpfwdError } from "../../src/core/errors.ts";
import { type Child, Children, type Finished, type RunOptions } from "../command.ts";
import { askEmulator, type Direction, type EmulatorReport } from "../emulator/control.ts";
import type { Impairments } from "../emulator/impairments.ts";
import type { LinkOptions } from "../link-options.ts";
import { type BuildOptions, build, hasNetem, ipBatchIn } from "./build.ts";
import { type Middlebox, middleboxRules } from "./middlebox.ts";
import { freshId, groupName, LINKS_MAX, namespaceName, type Role } from "./names.ts";
import { directLines, ispOf } from "./plan.ts";
import { removeLab, STATE_ROOT } from "./remains.ts";
import { impairer, rateLine } from "./shaping.ts";

export interface LabOptions extends Partial<BuildOptions> {
  readonly links: readonly LinkOptions[];
  /** Holds the lab from its first namespace to its last, for whoever has to remove it in a hurry. */
  readonly standing?: Set<Lab>;
}

export interface LinkReport extends EmulatorReport {
  readonly link: number;
}

export interface ForgePace {
  readonly perSecond: number;
  /** At most 20: a command may take half a minute. */
  readonly seconds: number;
}

/** What another process needs to know of a lab. */
interface Saved {
  readonly links: readonly LinkOptions[];
  readonly netem: boolean;
}

const FORGER = fileURLToPath(new URL("../load/forger.js", import.meta.url));
const SAVED_NAME = "lab.json";
const SEED_DEFAULT = 1;

export class Lab {
  readonly id: string;
  readonly links: readonly LinkOptions[];
  readonly children = new Children();
  /** Whether this kernel has netem. */
  readonly netem: boolean;
  #direct: number | null = null;
  #standing: Set<Lab> | null = null;

  private constructor(id: string, saved: Saved) {
    this.id = id;
    this.links = saved.links;
    this.netem = saved.netem;
  }

  /** @throws MpfwdError when it cannot be built; nothing is left then */
  static async up(options: LabOptions): Promise<Lab> {
    if (options.links.length < 1 || options.links.length > LINKS_MAX) {
      throw new MpfwdError("ERR_USAGE", `a lab has 1 to ${LINKS_MAX} links`);
    }
    const saved: Saved = { links: options.links, netem: await hasNetem() };
    const lab = new Lab(freshId(groupName()), saved);
    lab.#standing = options.standing ?? null;
    lab.#standing?.add(lab);
    try {
      mkdirSync(lab.stateDirectory, { recursive: true, mode: 0o700 });
      writeFileSync(join(lab.stateDirectory, SAVED_NAME), JSON.stringify(saved));
      const { superPackets = false, seed = SEED_DEFAULT } = options;
      await build(lab, { superPackets, seed });
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** A lab that another process built. */
  static attach(id: string): Lab {
    const path = join(STATE_ROOT, id, SAVED_NAME);
    if (!existsSync(path)) throw new MpfwdError("ERR_USAGE", `there is no lab ${id}`);
    return new Lab(id, JSON.parse(readFileSync(path, "utf8")) as Saved);
  }

  get stateDirectory(): string {
    return join(STATE_ROOT, this.id);
  }

  /** The links whose packets the emulator carries. */
  get emulated(): readonly { readonly link: number; readonly options: LinkOptions }[] {
    return this.links
      .map((options, index) => ({ link: index + 1, options }))
      .filter(({ options }) => impairer(options, this.netem) === "emulator");
  }

  /** Control socket of a link's emulator. */
  controlPath(link: number): string {
    return join(this.stateDirectory, `emulator${link}.sock`);
  }

  namespace(role: Role): string {
    return namespaceName(this.id, role);
  }

  /** Runs a program in a namespace to its end. */
  exec(
    role: Role,
    command: string,
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<Finished> {
    return this.children.run("ip", this.#inside(role, command, args), options);
  }

  /** Starts a program in a namespace; it ends with the lab at the latest. */
  spawn(
    role: Role,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Child {
    // Not for `ip`, which needs no such environment.
    const said = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const inner = said.length === 0 ? [command, ...args] : ["env", ...said, command, ...args];
    return this.children.spawn("ip", this.#inside(role, inner[0] as string, inner.slice(1)));
  }

  /** Sends client and server traffic over `link` without a tunnel; null: over none. */
  async direct(link: number | null): Promise<void> {
    if (this.#direct !== null) await this.#routes(this.#direct, "del");
    this.#direct = link;
    if (link !== null) await this.#routes(link, "replace");
  }

  /** Changes what the emulator does to a link from now on. The link must be emulated. */
  async impair(
    link: number,
    change: Partial<Impairments>,
    directions: readonly Direction[] = ["up", "down"],
  ): Promise<void> {
    for (const direction of directions) {
      await askEmulator(this.controlPath(link), { op: "set", direction, change });
    }
  }

  /** Changes a link's rate, bits per second, from now on. The link must have been built with one. */
  async rate(link: number, direction: Direction, bitsPerSecond: number): Promise<void> {
    const options = this.#checkLink(link);
    const input = `${rateLine(options, direction, bitsPerSecond, this.netem)}\n`;
    const where = ["-netns", this.namespace(ispOf(link)), "-batch", "-"];
    await this.children.run("tc", where, { input });
  }

  cut(link: number): Promise<void> {
    return this.impair(link, { cut: true });
  }

  restore(link: number): Promise<void> {
    return this.impair(link, { cut: false });
  }

  /** Puts a middlebox into the provider of a link, in place of the one before; `NO_MIDDLEBOX` takes it out. */
  async middlebox(link: number, box: Middlebox): Promise<void> {
    this.#checkLink(link);
    await this.exec(ispOf(link), "nft", ["-f", "-"], { input: middleboxRules(box) });
  }

  /**
   * The provider's devices carry no longer packets from now on, either way; it says so by ICMP, unless its middlebox
   * drops that.
   */
  async pathMtu(link: number, octets: number): Promise<void> {
    this.#checkLink(link);
    const lines = ["lp", "rp"].map((device) => `link set dev ${device} mtu ${octets}`);
    await ipBatchIn(this, ispOf(link), lines);
  }

  /** The provider of a link forgets every connection that it tracks: NAT mappings too. */
  async flushConnections(link: number): Promise<void> {
    this.#checkLink(link);
    await this.exec(ispOf(link), "conntrack", ["-F"]);
  }

  /** Connections that the kernel of a namespace tracks; 0 when no rule there asks for them. */
  async connections(role: Role): Promise<number> {
    const { stdout } = await this.exec(role, "sysctl", ["-n", "net.netfilter.nf_conntrack_count"]);
    return Number(stdout);
  }

  /**
   * Sends whole IP packets from the provider of a link, past its middlebox: each once, or at a rate again and again.
   * @returns how many left
   */
  async forge(link: number, packets: readonly Uint8Array[], pace?: ForgePace): Promise<number> {
    this.#checkLink(link);
    const input = packets.map((packet) => `${Buffer.from(packet).toString("hex")}\n`).join("");
    const load = pace === undefined ? [] : [`${pace.perSecond}`, `${pace.seconds}`];
    const { stdout } = await this.exec(ispOf(link), process.execPath, [FORGER, ...load], { input });
    return Number(stdout);
  }

  /** What the emulators did, by link and direction; empty without an emulator. */
  async report(): Promise<readonly LinkReport[]> {
    return Promise.all(
      this.emulated.map(async ({ link }) => {
        const { report } = await askEmulator(this.controlPath(link), { op: "report" });
        if (report !== undefined) return { link, ...report };
        throw new MpfwdError("ERR_CONTROL", `the emulator of link ${link} reports nothing`);
      }),
    );
  }

  /** Lets this process end while the lab stays. */
  leave(): void {
    this.children.release();
  }

  async down(): Promise<void> {
    await this.children.endAll();
    await removeLab(this.id);
    this.#standing?.delete(this);
  }

  #checkLink(link: number): LinkOptions {
    const options = this.links[link - 1];
    if (options !== undefined) return options;
    throw new MpfwdError("ERR_USAGE", `there is no link ${link}`);
  }

  #inside(role: Role, command: string, args: readonly string[]): string[] {
    return ["netns", "exec", this.namespace(role), command, ...args];
  }

  async #routes(link: number, verb: "replace" | "del"): Promise<void> {
    for (const [role, lines] of directLines(link, verb)) await ipBatchIn(this, role, lines);
  }
}
