/** From an authenticated INIT to RESP and the keys of a session that nobody has confirmed yet. */
import type { RandomOctets } from "../core/random.ts";
import { encodeResp, type Init } from "../wire/handshake.ts";
import {
  type Choice,
  DATA_TAGS,
  decodeOffer,
  encodeChoice,
  type InnerAddress,
  type Offer,
  PURPOSE,
  type Purpose,
  RESULT,
  SUITE,
} from "../wire/offer.ts";
import { type ClientKeys, prologue, type SessionKeys, sessionKeys } from "./keys.ts";
import { NoiseResponder } from "./noise.ts";
import { seal } from "./seal.ts";

const KEY_OCTETS = 32;

/** What the Remote Portal insists on. */
export interface Policy {
  /** SUITE. */
  readonly suite: number;
  readonly dataTagMin: number;
  /** TRANSPORT_BIT. */
  readonly transports: number;
  /** Nothing but probing sessions. */
  readonly probeOnly: boolean;
}

export interface AnswerOptions {
  readonly keys: ClientKeys;
  readonly addresses: readonly InnerAddress[];
  /** Bond of the client's session; null: none. */
  readonly bond: Uint8Array | null;
  readonly policy: Policy;
  readonly random: RandomOctets;
  /** Takes the id that ATTACH will name; not called for a refusal. */
  readonly takeId: () => number;
}

/** A session before its first ATTACH. */
export interface Draft {
  readonly keys: SessionKeys;
  readonly choice: Choice;
  readonly purpose: Purpose;
  /** The bond that it was promised to continue; null: a new one. */
  readonly bond: Uint8Array | null;
}

export interface Answer {
  /** RESP with its tag. */
  readonly reply: Uint8Array;
  /** Null when the reply is a refusal. */
  readonly draft: Draft | null;
}

/** @returns null when INIT does not open: not made with the client's key for this version */
export function answerInit(init: Init, options: AnswerOptions): Answer | null {
  const { keys, random } = options;
  const privateKey = random(KEY_OCTETS);
  const psk = keys.noise;
  const noise = new NoiseResponder({ psk, prologue: prologue(init.identity), privateKey });
  const payload = noise.read(init.noise);
  if (payload === null) return null;
  const offer = decodeOffer(payload);
  const purpose = offer.purpose === PURPOSE.probe ? "probe" : "tunnel";
  const choice = choose(offer, options);
  const { message, secrets } = noise.write(encodeChoice(choice));
  const reply = seal(keys.reply, 0, encodeResp(init.replyId, message));
  if (choice.result !== RESULT.ok) return { reply, draft: null };
  const bond = choice.continued ? options.bond : null;
  return { reply, draft: { keys: sessionKeys(secrets), choice, purpose, bond } };
}

function choose(offer: Offer, { addresses, bond, policy, takeId }: AnswerOptions): Choice {
  const { suite, dataTagMin, transports } = policy;
  const result = judge(offer, policy);
  if (result !== RESULT.ok) {
    const dataTag = suite === SUITE.aes128Gcm ? 16 : dataTagMin;
    return { result, continued: false, suite, dataTag, transports, attachId: 0, addresses };
  }
  const isTunnel = offer.purpose === PURPOSE.tunnel;
  const continued = isTunnel && bond !== null && Buffer.compare(offer.bond, bond) === 0;
  const { dataTag } = offer;
  return { result, continued, suite, dataTag, transports, attachId: takeId(), addresses };
}

function judge(offer: Offer, policy: Policy): number {
  const serves = policy.probeOnly ? [PURPOSE.probe] : [PURPOSE.tunnel, PURPOSE.probe];
  if (!serves.some((purpose) => purpose === offer.purpose)) return RESULT.purpose;
  if (offer.suite !== policy.suite) return RESULT.encrypt;
  const tagMin = policy.suite === SUITE.aes128Gcm ? 16 : policy.dataTagMin;
  if (!DATA_TAGS.includes(offer.dataTag) || offer.dataTag < tagMin) return RESULT.tag;
  if ((offer.transports & policy.transports) === 0) return RESULT.transport;
  return RESULT.ok;
}
