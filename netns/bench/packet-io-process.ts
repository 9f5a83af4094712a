/**
 * One end of a packet I/O case, a process of its own: sends as fast as it can for some seconds, or
 * receives until its standard input ends. Prints "ready" and then one JSON line, its `Report`. A
 * process of its own since `cap` ends the process it runs in when a device disappears.
 *
 *   node packet-io-process.js '{"task":"send","backend":"cap",...}'
 */
import { type Backend, type BackendName, Meter, type Setup } from "./packet-io-backend.ts";

/** What a receiver has in its buffers when the load ends is read within this time. */
const REST_MS = 50;

const setup = JSON.parse(process.argv[2] ?? "") as Setup;
const meter = new Meter();
const backend = await backendOf(setup.backend);
if (setup.task === "send") {
  await backend.send(setup, meter, performance.now() + setup.seconds * 1000);
  report();
} else {
  backend.receive(setup, meter);
  process.stdout.write("ready\n");
  process.stdin.resume().once("end", () => setTimeout(report, REST_MS));
}

/** Leaves by `exit`, since a back-end's open socket would keep the event loop alive. */
function report(): void {
  process.stdout.write(`${JSON.stringify(meter.report())}\n`, () => process.exit(0));
}

/** Loaded on demand: a back-end needs packages that the others do without. */
async function backendOf(name: BackendName): Promise<Backend> {
  switch (name) {
    case "mpfwd":
      return (await import("./packet-io-mpfwd.ts")).plain;
    case "mpfwd-hmac":
      return (await import("./packet-io-mpfwd.ts")).sealed;
    case "raw-socket":
      return (await import("./packet-io-raw-socket.ts")).rawSocket;
    case "cap":
      return (await import("./packet-io-cap.ts")).cap;
  }
}
