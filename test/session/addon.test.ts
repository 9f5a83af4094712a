/** The vectors of docs/protocol.md and all their one-bit neighbours, through the addon itself. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SUITE } from "../../src/wire/offer.ts";
import {
  counted,
  countersText,
  giveAll,
  type Harness,
  harness,
  loopbackPair,
  sendOctets,
  slots,
} from "../native/harness.ts";
import { inNamespace } from "../native/namespace.ts";
import { hex } from "./addon-model.ts";
import { octetsOf, readVectors } from "./vectors.ts";

const { given, keys, messages, data } = readVectors();
const key = (name: string) => octetsOf(keys[name] ?? assert.fail(`no key ${name}`));
const FORM = { suite: SUITE.hmacSha256, dataTag: 10, linkNumber: given.linkNumber };

interface Ends extends Harness {
  readonly server: number;
  readonly client: number;
}

/** An engine that knows all keys of the vectors, those of both portals. */
function prepare(context: TestContext): Ends {
  const at = harness(context);
  const { engine } = at;
  const none = { ...FORM, transmits: [0, 0, 0] as const };
  engine.addClient(octetsOf(given.clientId), key("init"), 1);
  engine.addReceive(given.replyId, { ...none, context: 2, handshake: key("reply") });
  engine.addReceive(given.attachId, { ...none, context: 3, attach: key("attach up") });
  const down = { attach: key("attach down"), control: key("control down") };
  engine.addReceive(given.clientLinkId, { ...none, context: 4, ...down });
  engine.addReceive(given.portalLinkId, { ...none, context: 5, attach: key("attach up") });
  const token = octetsOf(messages["reset"] ?? "").subarray(-16);
  engine.addReset(given.portalLinkId, token, 6);
  return { ...at, ...loopbackPair(engine, "udp", 4) };
}

/** What the addon hands up of these octets; null when it refuses them. */
function received(at: Ends, octets: Uint8Array): Uint8Array | null {
  sendOctets(at, at.client, octets);
  const batch = slots(at.arena, 1);
  const count = at.engine.receive(at.server, batch, 1);
  const message = count === 1 ? at.arena.read(batch[0] as number) : null;
  giveAll(at.arena, batch);
  return message;
}

/** The flags and the sequence number of a RESET mean nothing: its token covers the link id alone. */
const isFree = (name: string, bit: number) =>
  name === "reset" && ((bit >= 4 && bit < 8) || (bit >= 32 && bit < 64));

const neighbours = (octets: Uint8Array) =>
  Array.from({ length: octets.length * 8 }, (_, bit) => {
    const forged = Uint8Array.from(octets);
    forged[bit >> 3] = (forged[bit >> 3] as number) ^ (0x80 >> (bit & 7));
    return forged;
  });

inNamespace(import.meta.filename, () => {
  for (const [name, digits] of Object.entries(messages)) {
    test(`${name} of the vectors passes the addon, with one bit changed it does not`, (context) => {
      const at = prepare(context);
      const octets = octetsOf(digits);
      neighbours(octets).forEach((forged, bit) => {
        if (!isFree(name, bit)) assert.equal(received(at, forged), null, `bit ${bit}`);
      });
      const opened = received(at, octets) ?? assert.fail(countersText(at.arena));
      assert.equal(hex(opened), digits.slice(0, -32));
    });
  }

  for (const vector of data) {
    const { suite, tag, seq, flags } = vector;
    test(`DATA ${suite}, tag ${tag}, sequence ${seq}, flags ${flags} passes the addon`, (context) => {
      const at = prepare(context);
      at.engine.removeReceive(given.portalLinkId);
      const form = { suite: SUITE[suite], dataTag: tag, linkNumber: given.linkNumber };
      const dataSeq = Number(seq);
      const receive = {
        ...form,
        transmits: [0, 0, 0] as const,
        context: 7,
        data: key("data up"),
        dataSeq,
      };
      at.engine.addReceive(given.portalLinkId, receive);
      const octets = octetsOf(vector.octets);
      for (const forged of neighbours(octets)) assert.equal(received(at, forged), null);
      const opened = received(at, octets) ?? assert.fail(countersText(at.arena));
      assert.equal(hex(opened.subarray(-given.innerPacket.length / 2)), given.innerPacket);
      assert.equal(received(at, octets), null, "a second time");
      assert.equal(counted(at.arena, "replayed"), 1);
    });
  }
});
