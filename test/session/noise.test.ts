/** The Noise handshake against a published vector (test/vectors/noise.json), and against octets that were changed. */
import assert from "node:assert/strict";
import { createDecipheriv, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NoiseInitiator, NoiseResponder } from "../../src/session/noise.ts";

interface Vector {
  readonly prologue: string;
  readonly psk: string;
  readonly initiatorEphemeral: string;
  readonly responderEphemeral: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

const vector = JSON.parse(readFileSync("test/vectors/noise.json", "utf8")) as Vector;
const octets = (hex: string) => Buffer.from(hex, "hex");
const message = (index: number) => vector.messages[index] ?? assert.fail("no such message");
const shared = { psk: octets(vector.psk), prologue: octets(vector.prologue) };
const initiator = () =>
  new NoiseInitiator({ ...shared, privateKey: octets(vector.initiatorEphemeral) });
const responder = () =>
  new NoiseResponder({ ...shared, privateKey: octets(vector.responderEphemeral) });

test("the initiator's message is that of the published vector", () => {
  const sent = initiator().write(octets(message(0).payload));
  assert.equal(Buffer.from(sent).toString("hex"), message(0).ciphertext);
});

test("the responder reads it and answers as in the published vector", () => {
  const noise = responder();
  const payload = noise.read(octets(message(0).ciphertext));
  assert.deepEqual(payload, octets(message(0).payload));
  const { message: answer } = noise.write(octets(message(1).payload));
  assert.equal(Buffer.from(answer).toString("hex"), message(1).ciphertext);
});

test("both ends hold the secrets that open the vector's transport messages", () => {
  const client = initiator();
  client.write(octets(message(0).payload));
  const read = client.read(octets(message(1).ciphertext)) ?? assert.fail("does not open");
  assert.deepEqual(read.payload, octets(message(1).payload));
  const portal = responder();
  portal.read(octets(message(0).ciphertext));
  const { secrets } = portal.write(octets(message(1).payload));
  assert.deepEqual(secrets, read.secrets);
  // Split() of the specification, which the tunnel itself does not use.
  const split = Buffer.from(hkdfSync("sha256", "", secrets.chainingKey, "", 64));
  const keys = [split.subarray(0, 32), split.subarray(32)];
  vector.messages.slice(2).forEach(({ payload, ciphertext }, index) => {
    const nonce = Buffer.alloc(12);
    nonce[11] = index >> 1;
    const sealed = octets(ciphertext);
    const decipher = createDecipheriv("aes-256-gcm", keys[index & 1] ?? "", nonce);
    decipher.setAuthTag(sealed.subarray(-16));
    const plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    assert.equal(plain.toString("hex"), payload);
  });
});

test("a message with any octet changed does not open, and the genuine one still does", () => {
  const genuine = octets(message(1).ciphertext);
  const client = initiator();
  client.write(octets(message(0).payload));
  for (let index = 0; index < genuine.length; index += 1) {
    const forged = Buffer.from(genuine);
    // Bit 255 of a public key has no meaning in X25519, but the hash covers it.
    forged[index] = (forged[index] ?? 0) ^ 0x80;
    assert.equal(client.read(forged), null, `octet ${index}`);
  }
  assert.ok(client.read(genuine));
});

test("a first message under another key or prologue does not open", () => {
  const first = octets(message(0).ciphertext);
  const privateKey = octets(vector.responderEphemeral);
  const psk = Buffer.alloc(32, 1);
  assert.equal(new NoiseResponder({ ...shared, psk, privateKey }).read(first), null);
  const prologue = Buffer.from("other");
  assert.equal(new NoiseResponder({ ...shared, prologue, privateKey }).read(first), null);
});

test("a public key of small order and a short message are refused, not thrown", () => {
  assert.equal(responder().read(Buffer.alloc(64)), null);
  assert.equal(responder().read(Buffer.alloc(47)), null);
  assert.equal(initiator().read(Buffer.alloc(10)), null);
});
