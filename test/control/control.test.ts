/** The control socket answers requests, survives everything else, and belongs to its owner. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { askStatus, knownInstances } from "../../src/control/client.ts";
import { instancePaths, readRequest } from "../../src/control/control.ts";
import {
  type ControlledPortal,
  type ControlServer,
  openControl,
} from "../../src/control/server.ts";
import { MpfwdError } from "../../src/core/errors.ts";
import { type PortalStatus, STATUS_SCHEMA } from "../../src/portal/snapshot.ts";

const STATUS: PortalStatus = {
  ...{ schema: STATUS_SCHEMA, version: "0.1.0", name: "mpfwd0", role: "local", pid: 1 },
  ...{ uptimeSeconds: 1, mtu: 1449, offload: true, overhead: { raw4: 38 } },
  ...{ packetsOut: 1, packetsIn: 2, bytesOut: 3, bytesIn: 4, queuePackets: 0, queueBytes: 0 },
  ...{ slotsFree: 5, slots: 6, drops: {}, peers: [] },
};

const directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
const paths = instancePaths(directory, "mpfwd0");
let answer: () => PortalStatus = () => STATUS;
let server: ControlServer;
const PORTAL: ControlledPortal = {
  status: () => answer(),
  capture: () => {
    throw new MpfwdError("ERR_IN_USE", "not while this test runs");
  },
};

before(async () => {
  mkdirSync(paths.directory, { mode: 0o700 });
  writeFileSync(paths.control, "left by a killed portal");
  server = await openControl(paths.control, PORTAL);
});
after(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

/** Sends `text` and gives what came back by the time the other side has answered or hung up. */
async function exchange(text: string, lines: number): Promise<string[]> {
  const socket = connect(paths.control);
  socket.setEncoding("utf8");
  let answers = "";
  const done = new Promise<void>((resolve) => {
    socket.on("data", (part) => {
      answers += part;
      if (answers.split("\n").length > lines) resolve();
    });
    socket.on("close", resolve);
    socket.on("error", () => resolve());
  });
  socket.write(text);
  await done;
  socket.destroy();
  return answers.split("\n").filter((line) => line !== "");
}

test("a status is asked for and given; a stale file was replaced; nobody else may ask", async () => {
  assert.deepEqual(await askStatus(directory, "mpfwd0"), STATUS);
  assert.equal(statSync(paths.control).mode & 0o777, 0o600);
  assert.deepEqual(knownInstances(directory), ["mpfwd0"]);
});

test("one connection may ask again and again, in any pieces", async () => {
  const socket = connect(paths.control);
  socket.setEncoding("utf8");
  for (let round = 0; round < 3; round += 1) {
    socket.write('{"request":');
    socket.write('"status"}\n');
    const [text] = (await once(socket, "data")) as [string];
    assert.deepEqual(JSON.parse(text), STATUS);
  }
  socket.destroy();
});

// biome-ignore format: a table reads in columns
const bad: [name: string, line: string, error: RegExp][] = [
  ["no JSON",             "status",               /not JSON/],
  ["an empty line",       "",                     /not JSON/],
  ["null",                "null",                 /expected an object/],
  ["a list",              "[1]",                  /expected an object/],
  ["an unknown request",  '{"request":"halt"}',   /unknown request/],
  ["a snap of nothing",   '{"request":"capture","snap":0}', /snap must be a whole number/],
  ["a link of numbers",   '{"request":"capture","link":7}', /link must be a name/],
  ["a request of objects", '{"request":{"a":1}}', /unknown request/],
];
for (const [name, line, error] of bad) {
  test(`${name} gets an error for an answer`, async () => {
    const request = readRequest(line);
    assert.match("error" in request ? request.error : "", error);
    const answers = await exchange(`${line}\n{"request":"status"}\n`, 2);
    assert.match(answers[0] ?? "", error);
    assert.deepEqual(JSON.parse(answers[1] ?? ""), STATUS, "the connection goes on");
  });
}

test("who sends without end is cut off, and the next one is served", async () => {
  const [long] = await exchange("x".repeat(100_000), 1);
  assert.match(long ?? "", /too much/);
  const [many] = await exchange('{"request":"status"}\n'.repeat(1000), 1000);
  assert.match(many ?? "", /too much/);
  assert.deepEqual(await askStatus(directory, "mpfwd0"), STATUS);
});

test("more connections than the limit are turned away, not kept", async () => {
  const sockets: Socket[] = [];
  const closed: Promise<unknown>[] = [];
  for (let number = 0; number < 40; number += 1) {
    const socket = connect(paths.control);
    socket.on("error", () => {});
    sockets.push(socket);
    closed.push(once(socket, "close"));
  }
  // Those beyond the limit are closed by the portal; the 24th such event ends the wait.
  let count = 0;
  await new Promise<void>((resolve) => {
    const onClose = () => {
      count += 1;
      if (count === 24) resolve();
    };
    for (const one of closed) void one.then(onClose);
  });
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  assert.equal((await askStatus(directory, "mpfwd0")).pid, 1);
});

test("a status that cannot be given is an error, not the end", async () => {
  answer = () => {
    throw new Error("not now");
  };
  await assert.rejects(askStatus(directory, "mpfwd0"), /no status: not now/);
  answer = () => ({ ...STATUS, schema: 99 }) as unknown as PortalStatus;
  await assert.rejects(askStatus(directory, "mpfwd0"), /same version of mpfwd/);
  answer = () => STATUS;
  assert.deepEqual(await askStatus(directory, "mpfwd0"), STATUS);
});

test("an instance that does not run is told apart", async () => {
  const notRunning = (error: unknown) =>
    error instanceof MpfwdError && error.code === "ERR_NOT_RUNNING";
  await assert.rejects(askStatus(directory, "other"), notRunning);
  assert.deepEqual(knownInstances(join(directory, "none")), []);
});

test("closing cuts open connections and removes the file", async () => {
  const path = join(directory, "second.sock");
  const second = await openControl(path, PORTAL);
  const socket = connect(path);
  await once(socket, "connect");
  const ended = once(socket, "close");
  socket.resume();
  await second.close();
  await ended;
  assert.equal(existsSync(path), false);
});
