/**
 * Both portals of a lab: writes their files, runs `mpfwd up` in their namespaces, waits until every
 * link is up at both ends, and ends them again. Client and server reach each other through the
 * tunnel while they run.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { askStatus } from "../src/control/client.ts";
import { MpfwdError } from "../src/core/errors.ts";
import type { Transport } from "../src/portal/config.ts";
import type { PortalStatus } from "../src/portal/snapshot.ts";
import type { Child } from "./command.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS, type Family, NETWORK } from "./topology/names.ts";

export interface PortalOptions {
  readonly transport: Transport;
  /** The links' congestion control, at both ends; null or absent: the portals' default. */
  readonly controller?: string | null;
  /** Link numbers; default: all of the lab. */
  readonly links?: readonly number[];
  /** Outer family; default 4. */
  readonly family?: Family;
  /** Lines for the `[tunnel]` table of both files, such as `encrypt = true`. */
  readonly tunnel?: readonly string[];
  /** Lines for every `[[link]]` table. */
  readonly link?: readonly string[];
  /** Runs the portals under this Node, with these arguments in front. */
  readonly node?: readonly string[];
}

/** Inner addresses of the TUN devices. */
export const TUNNEL = {
  local: { 4: "10.77.0.2", 6: "fd10:77::2" },
  remote: { 4: "10.77.0.1", 6: "fd10:77::1" },
} as const;

const NAME = { local: "mpl0", remote: "mpr0" } as const;
const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const UP_LIMIT_MS = 15_000;
const LOOK_AGAIN_MS = 50;
const END_GRACE_MS = 5_000;

export type Side = "local" | "remote";

export class Portals {
  readonly #lab: Lab;
  readonly #processes: Record<Side, Child>;
  readonly #directory: string;
  readonly #spawn: (side: Side) => Child;

  private constructor(lab: Lab, directory: string, spawn: (side: Side) => Child) {
    this.#lab = lab;
    this.#directory = directory;
    this.#spawn = spawn;
    this.#processes = { remote: spawn("remote"), local: spawn("local") };
  }

  /** @throws MpfwdError with both logs when the links are not up in time */
  static async up(lab: Lab, options: PortalOptions): Promise<Portals> {
    const directory = join(lab.stateDirectory, "portals");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const files = writeFiles(lab, directory, options);
    const portals = new Portals(lab, directory, (side) =>
      lab.spawn(side === "local" ? "lp" : "rp", process.execPath, [
        ...(options.node ?? []),
        ...["--enable-source-maps", CLI, "up", files[side], "--state-directory", directory],
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
    return askStatus(this.#directory, NAME[side]);
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

function writeFiles(lab: Lab, directory: string, options: PortalOptions): Record<Side, string> {
  const secret = {
    id: randomBytes(8).toString("hex"),
    key: randomBytes(32).toString("base64"),
  };
  const text = { local: localText(lab, options, secret), remote: remoteText(options, secret) };
  const files = { local: join(directory, "local.toml"), remote: join(directory, "remote.toml") };
  for (const side of ["local", "remote"] as const) {
    writeFileSync(files[side], text[side], { mode: 0o600 });
  }
  return files;
}

interface Secret {
  readonly id: string;
  readonly key: string;
}

function localText(lab: Lab, options: PortalOptions, secret: Secret): string {
  const family = options.family ?? 4;
  const numbers = options.links ?? lab.links.map((_, index) => index + 1);
  const links = numbers.map(
    (link) => `
[[link]]
name = "link${link}"
device = "wan${link}"
source = "${ADDRESS.access(family, link, 2)}"
transport = "${options.transport}"
${controllerLine(options)}${lines(options.link)}`,
  );
  return `role = "local"
${tunnelText("local", options)}routes = ["${NETWORK.server(4)}", "${NETWORK.server(6)}"]

[peer]
address = "${ADDRESS.remote(family)}"
client_id = "${secret.id}"
key = "${secret.key}"
${links.join("")}`;
}

function remoteText(options: PortalOptions, secret: Secret): string {
  const inner = [TUNNEL.local[4], TUNNEL.local[6], NETWORK.client(4), NETWORK.client(6)];
  return `role = "remote"
${tunnelText("remote", options)}${controllerLine(options)}
[[client]]
name = "lab"
client_id = "${secret.id}"
key = "${secret.key}"
inner = [${inner.map((one) => `"${one}"`).join(", ")}]
`;
}

function tunnelText(side: Side, options: PortalOptions): string {
  return `
[tunnel]
name = "${NAME[side]}"
addresses = ["${TUNNEL[side][4]}/24", "${TUNNEL[side][6]}/64"]
${lines(options.tunnel)}`;
}

function controllerLine({ controller }: PortalOptions): string {
  return typeof controller === "string" ? `controller = "${controller}"\n` : "";
}

function lines(list: readonly string[] = []): string {
  return list.map((line) => `${line}\n`).join("");
}
