/**
 * Bodies of CONTROL: one octet says what, the rest belongs to it. Octets behind a known body are
 * ignored and an unknown first octet is counted and ignored, so that later versions can add.
 *
 *   1 close      reason 1   the sender forgets the session
 *   2 rekey                 the Remote Portal asks the client for a handshake
 *   3 attached              the Remote Portal has seen RESPONSE: ATTACH need not be repeated
 *   4 ping                  no answer; lets a restarted Remote Portal say RESET
 */
import { bodyOf } from "./message.ts";

const SUBTYPE = { close: 1, rekey: 2, attached: 3, ping: 4 } as const;

export type Control =
  /** Reason 0: the sender stops. */
  | { readonly tag: "close"; readonly reason: number }
  | { readonly tag: "rekey" }
  | { readonly tag: "attached" }
  | { readonly tag: "ping" };

/** The body alone: the preamble and the tag are the portal loop's and the addon's. */
export function encodeControl(control: Control): Uint8Array {
  if (control.tag === "close") return Uint8Array.of(SUBTYPE.close, control.reason);
  return Uint8Array.of(SUBTYPE[control.tag]);
}

/** @param message - from the preamble on */
export function decodeControl(message: Uint8Array): Control | "truncated" | "unknownControl" {
  const body = bodyOf(message);
  const reason = body[1];
  switch (body[0]) {
    case undefined:
      return "truncated";
    case SUBTYPE.close:
      return reason === undefined ? "truncated" : { tag: "close", reason };
    case SUBTYPE.rekey:
      return { tag: "rekey" };
    case SUBTYPE.attached:
      return { tag: "attached" };
    case SUBTYPE.ping:
      return { tag: "ping" };
    default:
      return "unknownControl";
  }
}
