/** Every time and every bound of the session layer, with its reason. */
import { MS, SECOND } from "../core/time.ts";

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/**
 * Pauses between copies of an unanswered INIT, and from when on: a portal that starts again without its
 * record is found within a second, a machine that starts again within two.
 */
export const INIT_PAUSES: readonly { readonly fromUs: number; readonly pauseUs: number }[] = [
  { fromUs: 0, pauseUs: SECOND },
  { fromUs: 10 * SECOND, pauseUs: 2 * SECOND },
  { fromUs: MINUTE, pauseUs: 5 * SECOND },
];
/** Repeats come up to 1/8 later at random, so that many clients do not stay in step. */
export const INIT_JITTER = 1 / 8;
/** Then a new ephemeral key is made; the Remote Portal forgets the old one `PENDING_LIFETIME_US` after. */
export const INIT_LIFETIME_US = 20 * SECOND;
/** Pause after a refusal: the operator has to mend a configuration. */
export const REFUSED_RETRY_US = 30 * SECOND;
/** Pause after the peer closed the session: it is about to stop, or to start again. */
export const CLOSED_RETRY_US = SECOND;

/** ATTACH is repeated after 0.2, 0.4 ... 3, 3 ... s, for ever: a link returns by itself. */
export const ATTACH_INTERVAL_US = 200 * MS;
export const ATTACH_INTERVAL_MAX_US = 3 * SECOND;
/** An ATTACH that the link's home has answered is, by another transport and for so long, only late. */
export const LATE_ATTACH_US = SECOND;
/** A session none of whose links was challenged for so long is given up for a new handshake. */
export const ATTACH_PATIENCE_US = 15 * SECOND;
/** At most one CONTROL ping a link in this time; while every link has just fallen silent, in this. */
export const PING_INTERVAL_US = 200 * MS;
export const PING_HURRY_INTERVAL_US = 50 * MS;

/** As WireGuard limits how long one set of keys is used; no practical limit of HMAC is near. */
export const REKEY_AFTER_US = HOUR;
/** Packets under one AES-128-GCM key: half of the 2^28 of RFC 9001 section B.1.1 for packets below 2^11 octets. */
export const REKEY_PACKETS = 2 ** 27;
/** Old keys and ids are still accepted after a rekey: longer than packets stay in any queue. */
export const OVERLAP_US = 10 * SECOND;
/** Keys end here even if no rekey came through. */
export const SESSION_LIFETIME_US = 2 * HOUR;

/** A probing session ends after so long, however it is used: nothing measures for longer. */
export const PROBE_LIFETIME_US = 20 * MINUTE;

/** Handshakes that wait for their first ATTACH, all clients and one client; the oldest gives way. */
export const PENDING_MAX = 1024;
export const PENDING_PER_CLIENT_MAX = 4;
/** Longer than the client keeps one ephemeral key, plus the longest round trip. */
export const PENDING_LIFETIME_US = 30 * SECOND;
/** Answers to copies of one INIT: 16 links, 3 transports, 16 times each. */
export const REPLIES_PER_PENDING_MAX = 768;

/** Above this the portal asks for a cookie before it computes anything. */
export const HANDSHAKES_PER_SECOND = 20;
export const HANDSHAKES_BURST = 20;
/** The same for one client: a captured INIT that is played again costs one client's budget only. */
export const CLIENT_HANDSHAKES_PER_SECOND = 1;
export const CLIENT_HANDSHAKES_BURST = 4;
/** With a cookie: a budget of its own, which nobody can use up who does not see the path. */
export const COOKIE_HANDSHAKES_PER_SECOND = 2;
export const COOKIE_HANDSHAKES_BURST = 16;
/**
 * RETRY messages: at most 100 in 10 s and transport, as OpenVPN limits its first answers. One client
 * takes up to three a link before it has a cookie everywhere.
 */
export const RETRIES_PER_SECOND = 30;
export const RETRIES_BURST = 300;
/** A cookie lives for one to two of these. */
export const COOKIE_SECRET_US = 2 * MINUTE;
export const RESETS_PER_SECOND = 10;
export const RESETS_BURST = 20;

/** Octets sent to an address that has not answered, per octet received from it: RFC 9000 section 8.1. */
export const AMPLIFICATION_MAX = 3;
/** A new address has this long to answer. */
export const ROAM_TIMEOUT_US = 3 * SECOND;
export const ROAM_REPEAT_US = 500 * MS;
/** After the new address answered, the old one has this long to show that it lives too. */
export const ROAM_GRACE_US = 200 * MS;
/** Meanwhile it is asked again so often. */
export const ROAM_GRACE_REPEAT_US = 50 * MS;
/** A new address that has not answered and is silent for so long gives way to another one, once in ROAM_TIMEOUT_US. */
export const ROAM_SILENT_US = 50 * MS;
/** Pause between two validations of one link. */
export const ROAM_COOLDOWN_US = SECOND;

/** Links remembered over a restart; the rest finds out by silence. */
export const TOMBSTONES_MAX = 4096;
/** The record is written at most this often. */
export const PERSIST_INTERVAL_US = SECOND;
