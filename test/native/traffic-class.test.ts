/** The traffic class (DSCP and ECN) of outer packets: set by transmit context, seen on reception. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  giveAll,
  type Harness,
  harness,
  KEYS,
  loopbackPair,
  preamble,
  put,
  slots,
  transmitBy,
} from "./harness.ts";
import { inNamespace } from "./namespace.ts";

const LINK = 0x4321;
/** EF and ECT(0); CS1 and ECT(1); ECT(0) alone; all bits. */
const CLASSES = [0xba, 0x21, 0x02, 0xff];

/** Two ends on the loopback and a transmit context from the client to the server. */
function link(context: TestContext, kind: "raw" | "udp", family: 4 | 6) {
  const at = harness(context);
  const { server, client } = loopbackPair(at.engine, kind, family);
  const transmit = transmitBy(at.engine, client);
  at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
  return { at, server, client, transmit };
}

let seq = 0;

/** Sends `count` packets of equal length and returns the traffic classes with which they arrive. */
function classesOf(at: Harness, transmit: number, server: number, count = 1): number[] {
  const batch = slots(at.arena, count);
  for (const slot of batch) {
    put(at.arena, slot, concat(preamble(TYPE.data, 0, LINK, seq), new Uint8Array(500)), seq);
    seq += 1;
  }
  assert.equal(at.engine.send(transmit, batch, count), count, countersText(at.arena));
  assert.equal(at.engine.receive(server, batch, count), count, countersText(at.arena));
  const classes = [...batch].map((slot) => (at.arena.info[slot] as number) & 0xff);
  giveAll(at.arena, batch);
  return classes;
}

inNamespace(import.meta.filename, () => {
  for (const kind of ["raw", "udp"] as const) {
    for (const family of [4, 6] as const) {
      test(`${kind} over IPv${family}: a connected socket sends with the class`, (context) => {
        const { at, server, transmit } = link(context, kind, family);
        assert.deepEqual(classesOf(at, transmit, server), [0]);
        for (const trafficClass of CLASSES) {
          at.engine.setTrafficClass(transmit, trafficClass);
          assert.deepEqual(classesOf(at, transmit, server), [trafficClass]);
        }
        at.engine.setTrafficClass(transmit, 0);
        assert.deepEqual(classesOf(at, transmit, server), [0]);
      });

      test(`${kind} over IPv${family}: every packet of a batch carries it`, (context) => {
        const { at, server, transmit } = link(context, kind, family);
        at.engine.setTrafficClass(transmit, 0xba);
        const classes = classesOf(at, transmit, server, 200);
        assert.deepEqual(classes, new Array(200).fill(0xba));
        assert.equal(counted(at.arena, "udpSegmented") > 0, kind === "udp");
      });

      test(`${kind} over IPv${family}: links on one socket keep theirs apart`, (context) => {
        const { at, server, client, transmit } = link(context, kind, family);
        // What the client sends tells the server where to answer: a path with a local address.
        const batch = slots(at.arena, 1);
        const [slot] = batch as unknown as [number];
        put(at.arena, slot, concat(Uint8Array.of(0x90), new Uint8Array(20)));
        assert.equal(at.engine.sendPlain(client, slot, null), true);
        assert.equal(at.engine.receivePlain(server, batch, 1), 1);
        const path = at.arena.paths.slice(slot * 40, slot * 40 + 40);
        assert.ok(
          path.subarray(24).some((octet) => octet !== 0),
          "it has a local address",
        );
        giveAll(at.arena, batch);
        const other = at.engine.addTransmit(KEYS);
        at.engine.setTrafficClass(transmit, 0x28);
        at.engine.setPath(transmit, server, path);
        at.engine.setPath(other, server, path);
        at.engine.setTrafficClass(other, 0x02);
        assert.deepEqual(classesOf(at, transmit, client), [0x28], "set before the path");
        assert.deepEqual(classesOf(at, other, client, 50), new Array(50).fill(0x02));
        at.engine.setPath(other, server, path);
        assert.deepEqual(classesOf(at, other, client), [0x02], "a new path keeps it");
        at.engine.setTrafficClass(other, 0);
        assert.deepEqual(classesOf(at, other, client), [0]);
        assert.deepEqual(classesOf(at, transmit, client), [0x28]);
      });
    }
  }

  test("a context may have a class before it has a path, and a context anew has none", (context) => {
    const { at, server, client, transmit } = link(context, "udp", 6);
    const early = at.engine.addTransmit(KEYS);
    at.engine.setTrafficClass(early, 0x0a);
    at.engine.setPath(early, client, null);
    assert.deepEqual(classesOf(at, early, server), [0x0a]);
    at.engine.removeTransmit(early);
    assert.equal(at.engine.addTransmit(KEYS), early, "the number is given again");
    at.engine.setPath(early, client, null);
    assert.deepEqual(classesOf(at, early, server), [0]);
    assert.deepEqual(classesOf(at, transmit, server), [0]);
  });
});
