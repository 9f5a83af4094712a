/** What the session layer asks of keys and links, carried out: numbers at their ends, and nothing left behind. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { PATH_OCTETS } from "../../src/core/arena.ts";
import { SECOND } from "../../src/core/time.ts";
import { transportNumber } from "../../src/core/transport.ts";
import { Ladder } from "../../src/ladder/ladder.ts";
import type { Route } from "../../src/portal/carrier.ts";
import { Contexts } from "../../src/portal/contexts.ts";
import { DataPath } from "../../src/portal/datapath.ts";
import { Ladders } from "../../src/portal/ladders.ts";
import type { DataPathOwner } from "../../src/portal/owner.ts";
import { Peer } from "../../src/portal/peer.ts";
import type { CommonEffect } from "../../src/session/effects.ts";
import { encodeHello } from "../../src/wire/hello.ts";
import { pushPreamble, TYPE } from "../../src/wire/preamble.ts";
import { type Harness, harness, KEYS } from "../native/harness.ts";

const RATES = { controller: { name: "cubic" }, dscp: 0, ecn: true } as const;

function listenLink(context: number, continues: number): CommonEffect {
  const keys = { ...KEYS, linkNumber: 0 };
  const at = { id: context, context, peer: 0, link: 0 };
  return { tag: "listenLink", ...at, receive: keys, transmit: keys, continues };
}

/** A peer of a Remote Portal whose link 0 has keys. */
function peerIn({ arena, engine }: Harness) {
  const data = new DataPath(engine, arena, {} as DataPathOwner);
  const contexts = new Contexts(data);
  data.ladders = new Ladders(data, contexts, () => {});
  const allowed = ["udp", "tcp"] as const;
  const ladder = { role: "remote", allowed, random: randomBytes, fullOctets: 1400 } as const;
  const identify = () => ({ name: "0", mssBytes: 1500, mtu: 1500, ...RATES });
  const peer = new Peer(0, "one", arena, identify, () => new Ladder(ladder));
  contexts.perform(0, listenLink(1, 0), peer);
  return { data, contexts, peer };
}

test("a peer that has used up its sequence numbers gets new keys without an error", (context) => {
  const { contexts, peer } = peerIn(harness(context));
  peer.controlHeard[0] = Number.MAX_SAFE_INTEGER;
  peer.link(0).receive(0, Number.MAX_SAFE_INTEGER, 100, 0, 0, false);
  contexts.perform(0, listenLink(2, 1), peer);
  assert.ok(contexts.perform(0, { tag: "unlisten", id: 2, context: 2 }, peer));
});

function routesIn({ engine }: Harness) {
  return (transport: "udp" | "tcp"): Route => {
    const path = new Uint8Array(PATH_OCTETS);
    path.set([4, transportNumber(transport), 0, 7, 127, 0, 0, 1]);
    const socket = engine.openSocket({ kind: transport, family: 4 });
    return { socket, transport, family: 4, path };
  };
}

const ATTACHED = { tag: "attached", peer: 0, link: 0, transmitId: 9 } as const;
/** Of a HELLO's body: the nonce of its sender for the way it goes. */
const NONCE = { from: 8, to: 12 } as const;

test("new keys on the same way leave alone what the ladder knows of it", (context) => {
  const at = harness(context);
  const { contexts, peer } = peerIn(at);
  const home = routesIn(at)("udp");
  const { path } = home;
  const nonceAt = (nowUs: number) => {
    const body = peer.ladder(0).poll(nowUs)?.body;
    assert.ok(body !== undefined);
    return Buffer.from(body.subarray(NONCE.from, NONCE.to)).toString("hex");
  };
  contexts.attached(0, { ...ATTACHED, context: 1, path }, home);
  const before = nonceAt(0);
  contexts.perform(SECOND, listenLink(2, 1), peer);
  contexts.attached(SECOND, { ...ATTACHED, context: 2, path }, home);
  assert.equal(nonceAt(20 * SECOND), before);
  contexts.attached(21 * SECOND, { ...ATTACHED, context: 2, path }, routesIn(at)("udp"));
  assert.notEqual(nonceAt(21 * SECOND), before, "another way is unknown");
});

test("a HELLO that was played by another transport than its own moves no route", (context) => {
  const at = harness(context);
  const { data, contexts, peer } = peerIn(at);
  const routeOf = routesIn(at);
  const home = routeOf("udp");
  contexts.attached(0, { ...ATTACHED, context: 1, path: home.path }, home);
  const binding = data.bindings.get(1);
  assert.ok(binding !== undefined);
  const none = { highest: 0, bitmap: 0, echo: 0 };
  const body = encodeHello({
    ...{ transport: 1, carries: 1, ask: true, full: false, number: 1, nonce: 1, badTags: 0 },
    ...{ seen: [none, none, none], octets: 0 },
  });
  const slot = at.arena.take();
  at.arena.write(slot, body);
  pushPreamble(at.arena, slot, TYPE.control, 0, 1, 0);
  data.ladders.receive(0, binding, slot, routeOf("tcp"));
  assert.equal(peer.carriers[0]?.routeOf("tcp"), undefined);
  data.ladders.receive(0, binding, slot, home);
  assert.equal(data.ladders.malformed, 1);
});
