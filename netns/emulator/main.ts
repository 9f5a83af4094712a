/**
 * The emulator of one link: `node main.js JSON` with an `EmulatorSetup`. Creates a TUN device for
 * each direction (`tunName`) in the namespace it is started in, prints `ready`, and serves its
 * control socket until SIGTERM. Whoever starts it routes packets into the devices.
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
import type { EmulatedPath } from "./path.ts";
import { Relay } from "./relay.ts";

/** A wire does not wait for the programs at its ends; a late emulator would look like a slow link. */
const NICE = -20;

function main(): void {
  setPriority(NICE);
  const setup = JSON.parse(process.argv[2] ?? "{}") as EmulatorSetup;
  const relay = new Relay();
  const paths = {
    up: relay.open(tunName("up"), 2 * setup.seed),
    down: relay.open(tunName("down"), 2 * setup.seed + 1),
  };
  paths.up.set(setup.up);
  paths.down.set(setup.down);
  const server = serveControl(setup.control, (request) => answer(paths, request));
  server.on("listening", () => process.stdout.write("ready\n"));
  const stop = () => {
    server.close();
    relay.close();
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function answer(paths: Record<Direction, EmulatedPath>, request: EmulatorRequest): EmulatorReply {
  if (request.op === "report") {
    return { ok: true, report: { up: paths.up.report(), down: paths.down.report() } };
  }
  paths[request.direction].set(request.change);
  return { ok: true };
}

main();
