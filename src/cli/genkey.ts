/** `mpfwd genkey`: key material from the kernel's random generator. */
import { randomBytes } from "node:crypto";
import { CLIENT_ID_OCTETS, KEY_OCTETS } from "./configuration/values.ts";

/** 32 octets in base64. */
export function newKey(): string {
  return randomBytes(KEY_OCTETS).toString("base64");
}

/** 8 octets as 16 hexadecimal digits. Public. */
export function newClientId(): string {
  return randomBytes(CLIENT_ID_OCTETS).toString("hex");
}
