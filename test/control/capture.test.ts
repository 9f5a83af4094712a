/** A capture over the control socket: records whole and in order, an end that is told, and a portal that is never held up. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
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

/** What a portal sends for these chunks: frames, the end, and how many were missed. */
function framesOf(chunks: readonly Uint8Array[], missed: number): Buffer {
  const framed = [...chunks, new Uint8Array(0)].flatMap((chunk) => {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(chunk.length);
    return [header, chunk];
  });
  return Buffer.concat([...framed, Buffer.from(`{"capture":"ended","missed":${missed}}\n`)]);
}

test("frames are found whatever the pieces that they arrive in", async () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 50 });
  const stream = fc.record({
    chunks: fc.array(chunk, { maxLength: 8 }),
    cuts: fc.array(fc.nat(500), { maxLength: 12 }),
    missed: fc.nat(),
  });
  const property = fc.asyncProperty(stream, async ({ chunks, cuts, missed }) => {
    const octets = Buffer.concat([Buffer.from('{"capture":"begun"}\n'), framesOf(chunks, missed)]);
    const { control } = instancePaths(directory, "pieces");
    mkdirSync(join(directory, "pieces"), { recursive: true });
    const portal = createServer(async (socket) => {
      socket.resume();
      const ends = [...cuts.filter((cut) => cut < octets.length), octets.length].sort(
        (a, b) => a - b,
      );
      let at = 0;
      for (const end of ends) {
        await new Promise<void>((resolve) =>
          socket.write(octets.subarray(at, end), () => resolve()),
        );
        at = end;
      }
      socket.end();
    });
    await new Promise<void>((resolve) => portal.listen(control, resolve));
    const connection = await CaptureConnection.begin(directory, "pieces", WISH);
    const got: Buffer[] = [];
    for await (const records of connection.records()) got.push(Buffer.from(records));
    assert.deepEqual(
      got,
      chunks.map((one) => Buffer.from(one)),
    );
    assert.equal(connection.missed, missed);
    await new Promise((resolve) => portal.close(resolve));
  });
  await fc.assert(property, { numRuns: 50 });
});

test("a portal that sends no frames is given up", async () => {
  const { control } = instancePaths(directory, "odd");
  mkdirSync(join(directory, "odd"), { recursive: true });
  let answer = "";
  const portal = createServer((socket) => {
    socket.on("error", () => {});
    socket.resume();
    socket.write(answer, "latin1");
  });
  await new Promise<void>((resolve) => portal.listen(control, resolve));
  const begin = () => CaptureConnection.begin(directory, "odd", WISH);
  answer = "x".repeat(100_000);
  await assert.rejects(begin(), /odd answers without end/);
  answer = "not JSON\n";
  await assert.rejects(begin(), /odd answered with something else than JSON/);
  answer = '{"capture":"begun"}\n\xff\xff\xff\xff';
  const connection = await begin();
  await assert.rejects(connection.records().next(), /odd sends something else than records/);
  await new Promise((resolve) => portal.close(resolve));
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
