/** A capture over the control socket: records whole and in order, an end that is told, and a portal that is never held up. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CaptureConnection } from "../../src/control/capture-client.ts";
import { instancePaths } from "../../src/control/control.ts";
import { type ControlServer, openControl } from "../../src/control/server.ts";
import { MpfwdError } from "../../src/core/errors.ts";
import type { CaptureOptions, CaptureSink, RunningCapture } from "../../src/portal/capture.ts";

const NAME = "mpfwd0";
const WISH = { snapOctets: 96, link: "dsl" };
const directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
const paths = instancePaths(directory, NAME);
let server: ControlServer;

/** The portal's half, in the hands of a test. */
class Source {
  options: CaptureOptions | null = null;
  refuse: MpfwdError | null = null;
  last = Buffer.from("last");
  missed = 0;
  #sink: CaptureSink | null = null;
  #onDrained: () => void = () => {};
  #onAbandoned: () => void = () => {};

  get sink(): CaptureSink {
    assert.ok(this.#sink !== null, "a capture runs");
    return this.#sink;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  abandoned(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAbandoned = resolve;
    });
  }

  begin(options: CaptureOptions, sink: CaptureSink): RunningCapture {
    if (this.refuse !== null) throw this.refuse;
    this.options = options;
    this.#sink = sink;
    return {
      drained: () => this.#onDrained(),
      stop: () => {
        sink.write(this.last);
        sink.end(this.missed);
      },
      abandon: () => this.#onAbandoned(),
    };
  }
}

let source = new Source();

before(async () => {
  mkdirSync(paths.directory, { mode: 0o700 });
  server = await openControl(paths.control, {
    status: () => assert.fail("nobody asks for a status here"),
    capture: (options, sink) => source.begin(options, sink),
  });
});
after(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

const begin = () => {
  source = new Source();
  return CaptureConnection.begin(directory, NAME, WISH);
};

test("chunks arrive whole and in order, then the rest and what was missed", async () => {
  const connection = await begin();
  assert.deepEqual(source.options, WISH);
  source.missed = 5;
  const records = connection.records();
  const long = Buffer.alloc(300_000, 7);
  for (const chunk of ["a", "bb"]) {
    source.sink.write(Buffer.from(chunk));
    assert.equal(String((await records.next()).value), chunk);
  }
  source.sink.write(long);
  assert.ok(long.equals((await records.next()).value ?? Buffer.alloc(0)));
  assert.equal(connection.missed, null, "not before the end");
  connection.stop();
  assert.equal(String((await records.next()).value), "last");
  assert.equal((await records.next()).done, true);
  assert.equal(connection.missed, 5);
});

test("a reader that does not read stops the flow, and starts it again", async () => {
  const connection = await begin();
  const records = connection.records();
  const chunk = Buffer.alloc(256 * 1024, 1);
  let room = true;
  let sent = 0;
  const drained = source.drained();
  for (; room && sent < 100; sent += 1) room = source.sink.write(chunk);
  assert.equal(room, false, "it is said before much is held");
  for (let got = 0; got < sent; got += 1) await records.next();
  await drained;
  const abandoned = source.abandoned();
  connection.close();
  await abandoned;
});

test("a portal that refuses is heard, and the connection serves on", async () => {
  source.refuse = new MpfwdError("ERR_IN_USE", "another capture runs; one runs at a time");
  await assert.rejects(
    CaptureConnection.begin(directory, NAME, WISH),
    (error) => error instanceof MpfwdError && /another capture runs/.test(error.message),
  );
  const socket = connect(paths.control);
  socket.setEncoding("utf8");
  socket.write('{"request":"capture"}\n{"request":"stop"}\n');
  let text = "";
  while (text.split("\n").length < 3) text += String(await once(socket, "data"));
  const [first = "", second = ""] = text.split("\n");
  assert.match(first, /no capture: another capture runs/);
  assert.match(second, /no capture runs on this connection/);
  socket.destroy();
  source.refuse = null;
});

test("a portal that goes away in the middle is an error, not an end", async () => {
  const connection = await begin();
  const records = connection.records();
  source.sink.write(Buffer.from("a"));
  await records.next();
  const next = records.next();
  await server.close();
  await assert.rejects(next, /mpfwd0 hung up/);
  assert.equal(connection.missed, null);
  await assert.rejects(
    CaptureConnection.begin(directory, NAME, WISH),
    (error) => error instanceof MpfwdError && error.code === "ERR_NOT_RUNNING",
  );
});
