/**
 * The emulator process: `node main.js JSON` with an `EmulatorSetup`. Creates two TUN devices a link
 * (`tunName`) in the namespace it is started in, prints `ready`, and serves its control socket until
 * SIGTERM. Whoever starts it moves the devices to where they belong and routes packets into them.
 */
import { setPriority } from "node:os";
import {
  type Direction,
  type EmulatorReply,
  type EmulatorRequest,
  type EmulatorSetup,
  serveControl,
  tunName,
} from "./control.ts";
import type { Impairments } from "./impairments.ts";
import type { EmulatedPath } from "./path.ts";
import { Relay } from "./relay.ts";

class Emulator {
  readonly #relay = new Relay();
  readonly #paths: { link: number; direction: Direction; path: EmulatedPath }[] = [];

  constructor(setup: EmulatorSetup) {
    for (const { link, up, down } of setup.links) {
      this.#open(link, "up", setup.seed + 2 * link, up);
      this.#open(link, "down", setup.seed + 2 * link + 1, down);
    }
  }

  answer(request: EmulatorRequest): EmulatorReply {
    if (request.op === "report") return { ok: true, report: this.#report() };
    const { link, direction, change } = request;
    const found = this.#paths.find((one) => one.link === link && one.direction === direction);
    if (found === undefined) return { ok: false, error: `no link ${link} ${direction}` };
    found.path.set(change);
    return { ok: true };
  }

  close(): void {
    this.#relay.close();
  }

  #open(link: number, direction: Direction, seed: number, impairments: Impairments): void {
    const path = this.#relay.open(tunName(link, direction), seed);
    path.set(impairments);
    this.#paths.push({ link, direction, path });
  }

  #report() {
    return this.#paths.map(({ path, ...where }) => ({ ...where, path: path.report() }));
  }
}

/** A wire does not wait for the programs at its ends; a late emulator would be measured as a slow link. */
const NICE = -20;

function main(): void {
  setPriority(NICE);
  const setup = JSON.parse(process.argv[2] ?? "{}") as EmulatorSetup;
  const emulator = new Emulator(setup);
  const server = serveControl(setup.control, (request) => emulator.answer(request));
  server.on("listening", () => process.stdout.write("ready\n"));
  const stop = () => {
    server.close();
    emulator.close();
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

main();
