/** A CONTROL message as the decoders of its bodies get it: opened, the preamble in front. */
import { createMessage } from "../../src/wire/message.ts";
import { PREAMBLE_OCTETS, TYPE } from "../../src/wire/preamble.ts";

export function controlMessage(body: Uint8Array): Uint8Array {
  const head = { type: TYPE.control, linkId: 0x123456, seq: 7 };
  const message = createMessage(head, PREAMBLE_OCTETS + body.length);
  message.set(body, PREAMBLE_OCTETS);
  return message;
}
