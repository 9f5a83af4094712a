/** A Local Portal's TCP connection: kept while the ladder wants it, and given back then. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { Log } from "../../src/core/log.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import type { Transport } from "../../src/core/transport.ts";
import { Ladder } from "../../src/ladder/ladder.ts";
import { SUITE } from "../../src/native/native.ts";
import type { LinkConfig, LocalConfig } from "../../src/portal/config.ts";
import { Contexts } from "../../src/portal/contexts.ts";
import { DataPath } from "../../src/portal/datapath.ts";
import { Ladders } from "../../src/portal/ladders.ts";
import { LinkSockets } from "../../src/portal/link-sockets.ts";
import type { DataPathOwner } from "../../src/portal/owner.ts";
import { Peer } from "../../src/portal/peer.ts";
import { SocketKeeper } from "../../src/portal/socket-keeper.ts";
import { Initiator } from "../../src/session/initiator.ts";
import { type Harness, harness } from "../native/harness.ts";
import { inNamespace } from "../native/namespace.ts";
import { accepted, listener, writable } from "../native/tcp-pair.ts";

const TRANSPORTS: readonly Transport[] = ["udp", "tcp"];
const CONTROLLER = { name: "cubic" } as const;
const SILENT: Log = { info() {}, warn() {}, error() {} };
/** Longer than the ladder holds a connection that it does not need. */
const LATER_US = 31 * SECOND;

const IDLE: DataPathOwner = {
  peerOf: () => undefined,
  admits: () => false,
  onMessage() {},
  onSourceDiffers() {},
  onSocketError: () => true,
  onSendFailure() {},
  onWritable() {},
  accept: () => false,
  routeOf: () => undefined,
  visited() {},
  tick() {},
  deadlineUs: () => NEVER,
};

function configOf(port: number): LocalConfig {
  const link = {
    name: "one",
    remote: "127.0.0.1",
    transport: "auto",
    transports: TRANSPORTS,
  } as const;
  const rest = { controller: CONTROLLER, dscp: 0, metric: 0, mtu: 1500 };
  return {
    role: "local",
    tunnel: { offload: false },
    clientId: randomBytes(8),
    key: randomBytes(32),
    ...{ port, protocol: 253, links: [{ ...link, ...rest } as LinkConfig] },
  } as unknown as LocalConfig;
}

/** A keeper of one link whose sockets lead to `port`, without a session: its ladder is told all. */
function keeperOf({ arena, engine }: Harness, port: number) {
  const config = configOf(port);
  const link = new LinkSockets(0, config.links[0] as LinkConfig, config);
  const ladder = new Ladder({
    ...{ role: "local", allowed: TRANSPORTS, random: randomBytes, fullOctets: 1400 },
  });
  const identity = {
    name: "one",
    mssBytes: 1500,
    mtu: 1500,
    controller: CONTROLLER,
    dscp: 0,
    ecn: true,
  };
  const peer = new Peer(
    0,
    "remote",
    arena,
    () => identity,
    () => ladder,
  );
  const initiator = new Initiator({
    ...{ clientId: config.clientId, key: config.key, suite: SUITE.hmacSha256, dataTag: 10 },
    ...{ links: [{ number: 0, transports: TRANSPORTS }], random: randomBytes },
  });
  const data = new DataPath(engine, arena, IDLE);
  const contexts = new Contexts(data);
  data.ladders = new Ladders(data, contexts, () => {});
  const keeper = new SocketKeeper({
    ...{
      links: [link],
      peer,
      initiator,
      data,
      contexts,
      log: SILENT,
      drain() {},
    },
  });
  return { keeper, link, peer, ladder: peer.ladder(0) };
}

/** A keeper whose TCP connection stands. */
async function connected(at: Harness) {
  const listening = listener(at);
  const { keeper, link, ladder } = keeperOf(at, listening.port);
  const nowUs = at.engine.nowUs();
  const socket = link.of("tcp");
  assert.ok(socket !== undefined);
  socket.open(at.engine, { address: "127.0.0.1", family: 4 }, 0);
  const { handle } = socket;
  await accepted(at, listening.handle);
  await writable(at, handle);
  keeper.onWritable(nowUs, handle);
  assert.equal(socket.connected, true);
  return { keeper, ladder, socket, handle, nowUs };
}

function settle(ladder: Ladder, nowUs: number): void {
  while (ladder.poll(nowUs) !== null);
}

inNamespace(import.meta.filename, () => {
  test("a connection that nothing needs any more is given back", async (context) => {
    const { keeper, ladder, socket, handle, nowUs } = await connected(harness(context));

    ladder.attached(nowUs, "udp");
    ladder.open(nowUs, "tcp");
    settle(ladder, nowUs);
    keeper.tick(nowUs);
    assert.equal(socket.handle, handle, "whoever opened it had a reason");

    settle(ladder, nowUs + LATER_US);
    keeper.tick(nowUs + LATER_US);
    assert.equal(socket.handle, 0, "UDP carries, and TCP is closed");
  });

  test("a connection that carries the link is kept", async (context) => {
    const { keeper, ladder, socket, handle, nowUs } = await connected(harness(context));

    ladder.attached(nowUs, "tcp");
    settle(ladder, nowUs);
    settle(ladder, nowUs + LATER_US);
    keeper.tick(nowUs + LATER_US);
    assert.equal(socket.handle, handle);
  });

  test("a connection that stood for long and has ended is made again at once", async (context) => {
    const at = harness(context);
    const { keeper, ladder, socket, handle } = await connected(at);
    ladder.attached(at.engine.nowUs(), "tcp");
    settle(ladder, at.engine.nowUs());
    socket.openedUs -= 4 * SECOND;
    keeper.onError(at.engine.nowUs(), handle, { count: 1, code: "ECONNRESET", icmp: null });
    assert.equal(socket.handle, 0);
    assert.ok(keeper.deadlineUs() <= at.engine.nowUs());
    keeper.tick(at.engine.nowUs());
    assert.notEqual(socket.handle, 0);
    // Its other end is gone: the next attempt waits.
    const againUs = at.engine.nowUs();
    keeper.onError(againUs, socket.handle, { count: 1, code: "ECONNREFUSED", icmp: null });
    assert.ok(keeper.deadlineUs() >= againUs + 100 * MS);
  });

  test("a connection that has ended soon is made again a tenth of a second later", async (context) => {
    const at = harness(context);
    const { keeper, ladder, socket, handle } = await connected(at);
    ladder.attached(at.engine.nowUs(), "tcp");
    settle(ladder, at.engine.nowUs());
    assert.equal(keeper.deadlineUs(), NEVER);

    const beforeUs = at.engine.nowUs();
    keeper.onError(beforeUs, handle, { count: 1, code: "ECONNRESET", icmp: null });
    const dueUs = keeper.deadlineUs();
    assert.equal(socket.handle, 0);
    assert.ok(dueUs >= beforeUs + 100 * MS && dueUs <= at.engine.nowUs() + 100 * MS);
    keeper.tick(dueUs - 1);
    assert.equal(socket.handle, 0, "not before");
    keeper.tick(dueUs);
    assert.notEqual(socket.handle, 0);
    assert.equal(keeper.deadlineUs(), NEVER);
  });

  test("TCP waits a second for what is better to answer", async (context) => {
    const at = harness(context);
    const listening = listener(at);
    const { keeper, link, peer } = keeperOf(at, listening.port);
    const nowUs = at.engine.nowUs();
    const socket = link.of("tcp");
    assert.ok(socket !== undefined);
    peer.link(0);
    peer.ladders[0] = undefined;
    keeper.start(nowUs);
    keeper.tick(nowUs);
    assert.equal(socket.handle, 0);
    keeper.tick(nowUs + 1.1 * SECOND);
    assert.notEqual(socket.handle, 0);
    await accepted(at, listening.handle);
  });
});
