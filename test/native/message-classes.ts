/** Every type of message that a link's keys seal, and which key it is. */
import type { ContextKeys } from "../../src/native/native.ts";
import { FLAG, TYPE } from "../../src/wire/preamble.ts";

// biome-ignore format: a table reads in columns
export const MESSAGES: [name: string, type: number, flags: number, keyOf: keyof ContextKeys][] = [
  ["DATA",            TYPE.data,      0,          "data"],
  ["DATA with order", TYPE.data,      FLAG.order, "data"],
  ["FEEDBACK",        TYPE.feedback,  0,          "control"],
  ["CONTROL",         TYPE.control,   0,          "control"],
  ["ATTACH",          TYPE.attach,    0,          "attach"],
  ["CHALLENGE",       TYPE.challenge, 0,          "attach"],
  ["RESPONSE",        TYPE.response,  0,          "attach"],
];
