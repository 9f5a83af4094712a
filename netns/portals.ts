/**
 * The portals of a lab, two or with a neighbour three: runs `mpfwd up` in their namespaces, waits until every link is up at both
 * ends, and ends them again. Client and server reach each other through the tunnel while they run.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { askStatus } from "../src/control/client.ts";
import { instancePaths } from "../src/control/control.ts";
import { MpfwdError } from "../src/core/errors.ts";
import type { PortalStatus } from "../src/portal/snapshot.ts";
import type { Child } from "./command.ts";
import {
  linksOf,
  type PortalFiles,
  type PortalOptions,
  type Side,
  writePortalFiles,
} from "./portal-files.ts";
import type { Lab } from "./topology/lab.ts";
import type { Role } from "./topology/names.ts";

const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const UP_LIMIT_MS = 15_000;
const LOOK_AGAIN_MS = 50;
const END_GRACE_MS = 5_000;
const ROLE: Readonly<Record<Side, Role>> = { local: "lp", neighbour: "lp2", remote: "rp" };

/** Numbers of links that are to be up at each portal. */
type Counts = ReadonlyMap<Side, number>;

export class Portals {
  readonly #lab: Lab;
  readonly #processes = new Map<Side, Child>();
  readonly #files: PortalFiles;
  readonly #options: PortalOptions;

  private constructor(lab: Lab, options: PortalOptions) {
    this.#lab = lab;
    this.#options = options;
    this.#files = writePortalFiles(lab, options);
    this.start("remote");
  }

  /** @throws MpfwdError with all logs when the links are not up in time */
  static async up(lab: Lab, options: PortalOptions): Promise<Portals> {
    const portals = new Portals(lab, options);
    portals.start("local");
    if (options.neighbour === true) portals.start("neighbour");
    try {
      await portals.waitLinks(linksOf(lab, options, "local").length, UP_LIMIT_MS);
    } catch (error) {
      await portals.down();
      throw error;
    }
    return portals;
  }

  /** The Remote Portal alone, once it answers its control socket. */
  static async listen(lab: Lab, options: PortalOptions): Promise<Portals> {
    const portals = new Portals(lab, options);
    const limit = performance.now() + UP_LIMIT_MS;
    while (!(await portals.#answers("remote"))) {
      const late = performance.now() > limit || portals.#process("remote").ended;
      if (late) {
        await portals.down();
        throw portals.#notUp([1], [0]);
      }
      await sleep(LOOK_AGAIN_MS);
    }
    return portals;
  }

  /** Path of a portal's configuration file. */
  file(side: Side): string {
    return this.#files.of[side].path;
  }

  /** Where a portal keeps what outlives it. */
  stateOf(side: Side): string {
    return instancePaths(this.#files.directory, this.#files.of[side].name).directory;
  }

  pid(side: Side): number {
    return this.#process(side).pid;
  }

  log(side: Side): string {
    return this.#process(side).stderr;
  }

  /** What it has printed, such as what its Node was told to trace. */
  output(side: Side): string {
    return this.#process(side).stdout;
  }

  status(side: Side): Promise<PortalStatus> {
    return askStatus(this.#files.directory, this.#files.of[side].name);
  }

  /** Waits until so many links of the Local Portal, and all of a neighbour's, are up at both ends. */
  async waitLinks(count: number, limitMs: number): Promise<void> {
    const neighbours = this.#processes.has("neighbour")
      ? linksOf(this.#lab, this.#options, "neighbour").length
      : 0;
    const wanted: Counts = new Map<Side, number>([
      ["local", count],
      ["remote", count + neighbours],
      ...(neighbours === 0 ? [] : [["neighbour", neighbours] as const]),
    ]);
    const limit = performance.now() + limitMs;
    for (;;) {
      const sides = [...wanted.keys()];
      const seen = await Promise.all(sides.map((side) => this.#linksUp(side)));
      if (sides.every((side, index) => seen[index] === wanted.get(side))) return;
      const ended = [...this.#processes.values()].some((one) => one.ended);
      if (ended || performance.now() > limit) throw this.#notUp([...wanted.values()], seen);
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** Links that are up at the Local and at the Remote Portal. */
  linksUp(): Promise<number[]> {
    return Promise.all([this.#linksUp("local"), this.#linksUp("remote")]);
  }

  /** Waits until a Local Portal's link is up. */
  async waitPeer(side: "local" | "neighbour", limitMs: number): Promise<void> {
    const limit = performance.now() + limitMs;
    while ((await this.#linksUp(side)) === 0) {
      if (performance.now() > limit) throw this.#notUp([1], [0]);
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** SIGKILL: it has no time to say goodbye or to undo anything. */
  async kill(side: Side): Promise<void> {
    this.#process(side).signal("SIGKILL");
    await this.#process(side).done;
  }

  /** SIGTERM to one. */
  async end(side: Side): Promise<void> {
    await this.#process(side).end(END_GRACE_MS);
  }

  /** Starts one, at first or after it has ended. */
  start(side: Side): void {
    const { node = [], cli = CLI, env = {} } = this.#options;
    const { directory, of } = this.#files;
    // As users run it: source maps would cost a start 0.2 s.
    const program = [...node, cli, "up", of[side].path];
    const args = [...program, "--state-directory", directory];
    this.#processes.set(side, this.#lab.spawn(ROLE[side], process.execPath, args, env));
  }

  /** SIGTERM to all; they undo what they changed. */
  async down(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((one) => one.end(END_GRACE_MS)));
  }

  async #answers(side: Side): Promise<boolean> {
    try {
      await this.status(side);
      return true;
    } catch {
      return false; // It has not opened its control socket yet.
    }
  }

  #process(side: Side): Child {
    const found = this.#processes.get(side);
    if (found !== undefined) return found;
    throw new MpfwdError("ERR_USAGE", `the lab runs no ${side} portal`);
  }

  async #linksUp(side: Side): Promise<number> {
    try {
      const { peers } = await this.status(side);
      return peers.flatMap((peer) => peer.links).filter((link) => link.state === "up").length;
    } catch {
      return 0; // It has not opened its control socket yet.
    }
  }

  #notUp(wanted: readonly number[], seen: readonly number[]): MpfwdError {
    const logs = [...this.#processes].map(([side, { stderr }]) => `${side} portal:\n${stderr}`);
    const why = `${wanted.join(" and ")} links should be up, ${seen.join(" and ")} are`;
    return new MpfwdError("ERR_LINK", [`${why}, in ${this.#lab.id}`, ...logs].join("\n"));
  }
}
