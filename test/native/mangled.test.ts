/** The newest message with a bad tag is kept as it arrived, while somebody asks for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  GCM_KEYS,
  gcmSealed,
  type Harness,
  harness,
  KEYS,
  key,
  loopbackPair,
  preamble,
  receiveSoon,
  sealed,
  sendOctets,
  slots,
} from "./harness.ts";
import { inNamespace } from "./namespace.ts";
import { NO_TRANSMITS } from "./tcp-pair.ts";

const LINK = 0x4321;
const PAYLOAD = new Uint8Array(50).fill(6);

inNamespace(import.meta.filename, () => {
  for (const kind of ["raw", "udp"] as const) {
    test(`${kind}: only a known link's, only the newest, only on request`, (context) => {
      const at = harness(context);
      const pair = loopbackPair(at.engine, kind, 4);
      at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: NO_TRANSMITS });
      refuse(at, pair, flipped(control(1)));
      assert.equal(at.engine.takeMangled(), null, "nobody asked");
      at.engine.keepMangled(true);
      refuse(at, pair, flipped(control(2)));
      refuse(at, pair, flipped(control(3)));
      refuse(at, pair, concat(preamble(TYPE.control, 0, LINK + 1, 4), PAYLOAD));
      assert.deepEqual(at.engine.takeMangled(), { linkId: LINK, octets: flipped(control(3)) });
      assert.equal(at.engine.takeMangled(), null, "it is given away once");
      refuse(at, pair, flipped(control(5)));
      at.engine.keepMangled(false);
      at.engine.keepMangled(true);
      assert.equal(at.engine.takeMangled(), null, "and forgotten on request");
      assert.equal(counted(at.arena, "badTag"), 4);
      sendOctets(at, pair.client, control(6));
      assert.equal(receiveSoon(at, pair.server, slots(at.arena, 1), 1), 1);
      assert.equal(at.engine.takeMangled(), null, "a good one is not mangled");
    });
  }

  test("an encrypted one is given as it arrived, not as it was decrypted", (context) => {
    const at = harness(context);
    const pair = loopbackPair(at.engine, "udp", 4);
    at.engine.addReceive(LINK, { ...GCM_KEYS, context: 1, transmits: NO_TRANSMITS });
    at.engine.keepMangled(true);
    const mangled = flipped(gcmSealed(GCM_KEYS, 1, preamble(TYPE.data, 0, LINK, 1), PAYLOAD));
    refuse(at, pair, mangled);
    assert.deepEqual(at.engine.takeMangled()?.octets, mangled);
  });

  test("an INIT and a RESET name no link of ours", (context) => {
    const at = harness(context);
    const pair = loopbackPair(at.engine, "udp", 4);
    at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: NO_TRANSMITS });
    at.engine.addClient(new Uint8Array(8).fill(6), key(9), 1);
    at.engine.addReset(LINK, new Uint8Array(16), 1);
    at.engine.keepMangled(true);
    for (const type of [TYPE.init, TYPE.reset]) {
      refuse(at, pair, concat(preamble(type, 0, LINK, 1), PAYLOAD));
    }
    assert.equal(counted(at.arena, "badTag"), 2);
    assert.equal(at.engine.takeMangled(), null);
  });
});

function control(seq: number): Uint8Array {
  const message = concat(preamble(TYPE.control, 0, LINK, seq), PAYLOAD);
  return sealed(KEYS.control as Uint8Array, seq, message, 16);
}

function flipped(octets: Uint8Array): Uint8Array {
  return octets.with(20, (octets[20] as number) ^ 0x80);
}

function refuse(at: Harness, pair: { client: number; server: number }, octets: Uint8Array): void {
  const refusals = () => counted(at.arena, "badTag") + counted(at.arena, "badIndex");
  const before = refusals();
  sendOctets(at, pair.client, octets);
  const batch = slots(at.arena, 1);
  const endUs = at.engine.nowUs() + 2_000_000;
  while (refusals() === before && at.engine.nowUs() < endUs) {
    assert.equal(at.engine.receive(pair.server, batch, 1), 0);
  }
  assert.equal(refusals(), before + 1, countersText(at.arena));
  at.arena.give(batch[0] as number);
}
