/**
 * Computes the test vectors of docs/protocol.md from their given values. The test compares them with
 * `test/vectors/protocol.json`; after a change of the protocol that file is written anew with
 *
 *   node dist/test/session/vectors.js > test/vectors/protocol.json
 */
import { readFileSync } from "node:fs";
import { argv, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import type { DirectionKeys, SessionKeys } from "../../src/session/keys.ts";
import { clientKeys, prologue, resetToken, sessionKeys } from "../../src/session/keys.ts";
import { NoiseInitiator, NoiseResponder } from "../../src/session/noise.ts";
import { seal } from "../../src/session/seal.ts";
import { encodeAttach, encodeChallenge, encodeResponse } from "../../src/wire/attach.ts";
import { encodeControl } from "../../src/wire/control.ts";
import { encodeInit, encodeResp, encodeRetry, initIdentity } from "../../src/wire/handshake.ts";
import { createMessage } from "../../src/wire/message.ts";
import { encodeChoice, encodeOffer, type InnerAddress, SUITE } from "../../src/wire/offer.ts";
import { FLAG, TYPE } from "../../src/wire/preamble.ts";
import { encodeReset } from "../../src/wire/reset.ts";
import { hex, sealNatively } from "./addon-model.ts";

export const VECTORS = "test/vectors/protocol.json";

/** Octets as hexadecimal digits, ids as numbers. */
export interface Given {
  readonly clientId: string;
  readonly preSharedKey: string;
  readonly clientPrivateKey: string;
  readonly portalPrivateKey: string;
  readonly replyId: number;
  readonly attachId: number;
  readonly clientLinkId: number;
  readonly portalLinkId: number;
  readonly linkNumber: number;
  readonly attachNonce: string;
  readonly challengeNonce: string;
  readonly cookie: string;
  readonly observedPort: number;
  readonly observedAddress: string;
  readonly innerAddress: string;
  readonly innerBits: number;
  readonly innerPacket: string;
}

export interface Vectors {
  readonly given: Given;
  readonly keys: Readonly<Record<string, string>>;
  readonly messages: Readonly<Record<string, string>>;
  /** DATA from the client: what is said of it beside the keys, and its octets. */
  readonly data: readonly DataVector[];
}

export interface DataVector {
  readonly suite: "hmacSha256" | "aes128Gcm";
  readonly tag: number;
  readonly flags: number;
  /** Decimal: 64 bits. */
  readonly seq: string;
  readonly order: number | null;
  readonly prev: number | null;
  readonly octets: string;
}

export const octetsOf = (digits: string) => new Uint8Array(Buffer.from(digits, "hex"));

export function readVectors(): Vectors {
  return JSON.parse(readFileSync(VECTORS, "utf8")) as Vectors;
}

export function innerAddresses(given: Given): readonly InnerAddress[] {
  return [{ family: 4, address: octetsOf(given.innerAddress), bits: given.innerBits }];
}

export function computeVectors(given: Given): Vectors {
  const client = clientKeys(octetsOf(given.preSharedKey));
  const { init, resp, keys } = handshake(given);
  return {
    given,
    keys: {
      init: hex(client.init),
      reply: hex(client.reply),
      noise: hex(client.noise),
      ...named("up", keys.up),
      ...named("down", keys.down),
      reset: hex(keys.reset),
      bond: hex(keys.bond),
    },
    messages: { init, resp, ...others(given, keys, client.reply) },
    data: dataVectors(given, keys.up.data),
  };
}

function handshake(given: Given): { init: string; resp: string; keys: SessionKeys } {
  const client = clientKeys(octetsOf(given.preSharedKey));
  const identity = initIdentity(octetsOf(given.clientId));
  const common = { psk: client.noise, prologue: prologue(identity) };
  const initiator = new NoiseInitiator({
    ...common,
    privateKey: octetsOf(given.clientPrivateKey),
  });
  const offer = {
    suite: 0,
    dataTag: 10,
    transports: 2,
    links: 1,
    purpose: 0,
    bond: new Uint8Array(8),
  };
  const noise = initiator.write(encodeOffer(offer));
  const cookie = new Uint8Array(16);
  const init = encodeInit({ replyId: given.replyId, identity, noise, cookie });
  const responder = new NoiseResponder({
    ...common,
    privateKey: octetsOf(given.portalPrivateKey),
  });
  responder.read(noise);
  const choice = {
    result: 0,
    continued: false,
    suite: 0,
    dataTag: 10,
    transports: 3,
    attachId: given.attachId,
    addresses: innerAddresses(given),
  };
  const { message, secrets } = responder.write(encodeChoice(choice));
  return {
    init: hex(seal(client.init, 0, init)),
    resp: hex(seal(client.reply, 0, encodeResp(given.replyId, message))),
    keys: sessionKeys(secrets),
  };
}

function others(given: Given, keys: SessionKeys, reply: Uint8Array): Record<string, string> {
  const nonce = octetsOf(given.attachNonce);
  const attach = { link: given.linkNumber, id: given.clientLinkId, transport: 1, nonce };
  const challenge = {
    echo: nonce,
    nonce: octetsOf(given.challengeNonce),
    link: given.linkNumber,
    id: given.portalLinkId,
    port: given.observedPort,
    address: octetsOf(given.observedAddress),
  };
  const control = createMessage({ type: TYPE.control, linkId: given.clientLinkId, seq: 0 }, 9);
  control.set(encodeControl({ tag: "attached" }), 8);
  const token = resetToken(keys.reset, given.portalLinkId);
  const response = encodeResponse(given.portalLinkId, 1, challenge.nonce);
  return {
    retry: hex(seal(reply, 0, encodeRetry(given.replyId, octetsOf(given.cookie)))),
    attach: hex(seal(keys.up.attach, 0, encodeAttach(given.attachId, 0, attach))),
    challenge: hex(seal(keys.down.attach, 0, encodeChallenge(given.clientLinkId, 0, challenge))),
    response: hex(seal(keys.up.attach, 1, response)),
    controlAttached: hex(seal(keys.down.control, 0, control)),
    reset: hex(encodeReset(given.portalLinkId, 0x01020304, token)),
  };
}

function dataVectors(given: Given, key: Uint8Array): DataVector[] {
  const base = { suite: "hmacSha256", flags: 0, order: null, prev: null } as const;
  const ordered = { flags: FLAG.order, order: 0xabcdef, prev: 3 } as const;
  const cases: Omit<DataVector, "octets">[] = [
    ...[8, 10, 12, 16].map((tag) => ({ ...base, tag, seq: "0" })),
    { ...base, tag: 10, seq: "4294967301", flags: FLAG.ackNow },
    { ...base, ...ordered, tag: 10, seq: "1" },
    { ...base, suite: "aes128Gcm", tag: 16, seq: "2" },
    { ...base, ...ordered, suite: "aes128Gcm", tag: 16, seq: "4294967302" },
  ];
  return cases.map((data) => ({ ...data, octets: hex(sealData(given, key, data)) }));
}

function sealData(given: Given, key: Uint8Array, data: Omit<DataVector, "octets">): Uint8Array {
  const seq = Number(data.seq);
  const payload = octetsOf(given.innerPacket);
  const header = data.order === null ? 8 : 13;
  const head = { type: TYPE.data, linkId: given.portalLinkId, seq };
  const message = createMessage(head, header + payload.length);
  message[0] = (TYPE.data << 4) | data.flags;
  if (data.order !== null) {
    const view = new DataView(message.buffer);
    view.setUint32(8, (data.order << 8) >>> 0);
    view.setUint16(11, data.prev ?? 0);
  }
  message.set(payload, header);
  const suite = SUITE[data.suite];
  const form = { suite, dataTag: data.tag, linkNumber: given.linkNumber, data: key };
  return sealNatively(form, seq, message);
}

function named(direction: string, keys: DirectionKeys): Record<string, string> {
  const { data, control, attach } = keys;
  return {
    [`data ${direction}`]: hex(data),
    [`control ${direction}`]: hex(control),
    [`attach ${direction}`]: hex(attach),
  };
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const vectors = computeVectors(readVectors().given);
  stdout.write(`${JSON.stringify(vectors, null, 2)}\n`);
}
