/**
 * Both portals of a lab: runs `mpfwd up` in their namespaces, waits until every link is up at both
 * ends, and ends them again. Client and server reach each other through the tunnel while they run.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { askStatus } from "../src/control/client.ts";
import { MpfwdError } from "../src/core/errors.ts";
import type { PortalStatus } from "../src/portal/snapshot.ts";
import type { Child } from "./command.ts";
import {
  type PortalFiles,
  type PortalOptions,
  type Side,
  writePortalFiles,
} from "./portal-files.ts";
import type { Lab } from "./topology/lab.ts";

const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const UP_LIMIT_MS = 15_000;
const LOOK_AGAIN_MS = 50;
const END_GRACE_MS = 5_000;

export class Portals {
  readonly #lab: Lab;
  readonly #processes: Record<Side, Child>;
  readonly #files: PortalFiles;
  readonly #spawn: (side: Side) => Child;

  private constructor(lab: Lab, files: PortalFiles, spawn: (side: Side) => Child) {
    this.#lab = lab;
    this.#files = files;
    this.#spawn = spawn;
    this.#processes = { remote: spawn("remote"), local: spawn("local") };
  }

  /** @throws MpfwdError with both logs when the links are not up in time */
  static async up(lab: Lab, options: PortalOptions): Promise<Portals> {
    const files = writePortalFiles(lab, options);
    const portals = new Portals(lab, files, (side) =>
      lab.spawn(side === "local" ? "lp" : "rp", process.execPath, [
        ...(options.node ?? []),
        ...["--enable-source-maps", options.cli ?? CLI, "up", files[side].path],
        ...["--state-directory", files.directory],
      ]),
    );
    try {
      await portals.#waitUp((options.links ?? lab.links).length);
    } catch (error) {
      await portals.down();
      throw error;
    }
    return portals;
  }

  pid(side: Side): number {
    return this.#processes[side].pid;
  }

  log(side: Side): string {
    return this.#processes[side].stderr;
  }

  status(side: Side): Promise<PortalStatus> {
    return askStatus(this.#files.directory, this.#files[side].name);
  }

  /** Waits until a link of this number of links is up at both ends. */
  async waitLinks(count: number, limitMs: number): Promise<void> {
    const limit = performance.now() + limitMs;
    for (;;) {
      const seen = await Promise.all([this.#linksUp("local"), this.#linksUp("remote")]);
      if (seen.every((up) => up === count)) return;
      const ended = Object.values(this.#processes).some((one) => one.ended);
      if (ended || performance.now() > limit) throw this.#notUp(count, seen);
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** SIGKILL: it has no time to say goodbye or to undo anything. */
  async kill(side: Side): Promise<void> {
    this.#processes[side].signal("SIGKILL");
    await this.#processes[side].done;
  }

  /** SIGTERM to one. */
  async end(side: Side): Promise<void> {
    await this.#processes[side].end(END_GRACE_MS);
  }

  /** Starts one that has ended. */
  start(side: Side): void {
    this.#processes[side] = this.#spawn(side);
  }

  /** SIGTERM to both; they undo what they changed. */
  async down(): Promise<void> {
    await Promise.all(Object.values(this.#processes).map((one) => one.end(END_GRACE_MS)));
  }

  async #waitUp(links: number): Promise<void> {
    await this.waitLinks(links, UP_LIMIT_MS);
  }

  async #linksUp(side: Side): Promise<number> {
    try {
      const { peers } = await this.status(side);
      return peers.flatMap((peer) => peer.links).filter((link) => link.state === "up").length;
    } catch {
      return 0; // It has not opened its control socket yet.
    }
  }

  #notUp(count: number, seen: readonly number[]): MpfwdError {
    const logs = `Local Portal:\n${this.log("local")}\nRemote Portal:\n${this.log("remote")}`;
    const why = `${count} links should be up, ${seen.join(" and ")} are, in ${this.#lab.id}`;
    return new MpfwdError("ERR_LINK", `${why}\n${logs}`);
  }
}
