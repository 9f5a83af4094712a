/** The published vectors are what the code does: the functions, and both state machines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RandomOctets } from "../../src/core/random.ts";
import { Initiator } from "../../src/session/initiator.ts";
import { clientKeys } from "../../src/session/keys.ts";
import { Responder } from "../../src/session/responder.ts";
import { SUITE } from "../../src/wire/offer.ts";
import { AddonModel, hex } from "./addon-model.ts";
import { pathOf } from "./paths.ts";
import { computeVectors, innerAddresses, octetsOf, readVectors } from "./vectors.ts";

const vectors = readVectors();
const { given, messages } = vectors;
const message = (name: string) => octetsOf(messages[name] ?? assert.fail(`no vector ${name}`));
const id = (value: number) => value.toString(16).padStart(6, "0");

/** Gives out exactly these octets, in this order. */
function scripted(...octets: string[]): RandomOctets {
  return (count) => {
    const next = octetsOf(octets.shift() ?? assert.fail("more randomness than the vector has"));
    assert.equal(next.length, count);
    return next;
  };
}

test("the vectors are those of the code", () => {
  assert.deepEqual(vectors, computeVectors(given));
});

test("an Initiator with the given randomness sends the vectors' messages", () => {
  const client = new Initiator({
    clientId: octetsOf(given.clientId),
    key: octetsOf(given.preSharedKey),
    suite: SUITE.hmacSha256,
    dataTag: 10,
    links: [{ number: given.linkNumber, transports: ["udp"] }],
    random: scripted(
      given.clientPrivateKey,
      id(given.replyId),
      "00",
      id(given.clientLinkId),
      given.attachNonce,
    ),
  });
  const addon = new AddonModel();
  const sent: string[] = [];
  const drain = () => {
    for (let effect = client.pollEffect(); effect; effect = client.pollEffect()) {
      if (effect.tag === "send") sent.push(hex(effect.octets));
      if (effect.tag === "listen") addon.addReceive(effect.id, effect.context, effect.keys);
      if (effect.tag === "listenLink") addon.addReceive(effect.id, effect.context, effect.receive);
      if (effect.tag === "addReset") assert.equal(hex(effect.token), messages["reset"]?.slice(16));
    }
  };
  const take = (name: string) => {
    const opened = addon.open(message(name));
    assert.ok(typeof opened !== "string", `${name}: ${opened}`);
    client.handle(0, { ...opened, link: given.linkNumber, transport: "udp" });
    drain();
  };
  client.start(0);
  drain();
  take("resp");
  take("challenge");
  take("controlAttached");
  assert.deepEqual(sent, [messages["init"], messages["attach"], messages["response"]]);
});

test("a Responder with the given randomness answers with the vectors' messages", () => {
  const clientId = octetsOf(given.clientId);
  const key = octetsOf(given.preSharedKey);
  const secret = "00".repeat(32);
  const portal = new Responder({
    clients: [{ clientId, key, addresses: innerAddresses(given) }],
    suite: SUITE.hmacSha256,
    dataTagMin: 10,
    transports: ["raw", "udp"],
    random: scripted(
      secret,
      secret,
      given.portalPrivateKey,
      id(given.attachId),
      id(given.portalLinkId),
      given.challengeNonce,
    ),
  });
  const addon = new AddonModel();
  const sent: string[] = [];
  const drain = () => {
    for (let effect = portal.pollEffect(); effect; effect = portal.pollEffect()) {
      if (effect.tag === "send") sent.push(hex(effect.octets));
      if (effect.tag === "listen") addon.addReceive(effect.id, effect.context, effect.keys);
      if (effect.tag === "listenLink") addon.addReceive(effect.id, effect.context, effect.receive);
      if (effect.tag === "addClient") {
        assert.deepEqual(effect.key, clientKeys(key).init);
        addon.clients.set(hex(clientId), { key: effect.key, context: effect.context });
      }
    }
  };
  portal.start(0);
  drain();
  const path = pathOf(1, given.observedPort);
  for (const name of ["init", "attach", "response"]) {
    const opened = addon.open(message(name));
    assert.ok(typeof opened !== "string", `${name}: ${opened}`);
    portal.handle(0, { ...opened, path });
    drain();
  }
  assert.deepEqual(sent, [messages["resp"], messages["challenge"]]);
});

for (const data of vectors.data) {
  test(`DATA ${data.suite}, tag ${data.tag}, sequence ${data.seq}, flags ${data.flags} opens`, () => {
    const addon = new AddonModel();
    const key = octetsOf(vectors.keys["data up"] ?? "");
    const { linkNumber, portalLinkId, innerPacket } = given;
    const keys = { suite: SUITE[data.suite], dataTag: data.tag, linkNumber, data: key };
    addon.addReceive(portalLinkId, 1, keys, Number(data.seq));
    const opened = addon.open(octetsOf(data.octets));
    assert.ok(typeof opened !== "string", String(opened));
    assert.equal(opened.seq, Number(data.seq));
    assert.equal(hex(opened.octets.subarray(data.order === null ? 8 : 13)), innerPacket);
    assert.equal(
      octetsOf(data.octets).length,
      opened.octets.length + data.tag,
      "nothing but a tag is added",
    );
  });
}
