/**
 * Whether a link may be used: a pure function from (life, event) to life.
 *
 *   connecting --attached--> up <--heard-- suspect --silent--> down --heard--> up
 *                             \--doubted-----^                  ^  \--heard, but damped--> down
 *   any but connecting: --unusable--> down, not probed, until --restored--> down, probed at once
 *   any: --detached--> connecting        suspect, down: --recarried--> the same, probed at once
 *
 * "Heard" means that the peer acknowledged something new on this link: what the peer sends proves the
 * other direction only. A link that kept failing must answer for a while before it is up (`damping.ts`).
 */
import { unreachable } from "../core/assert.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";

/** Probes of a silent link: at once often, then ever more seldom; a short outage ends soon after its end. */
const PROBE_FIRST_US = 100 * MS;
const PROBE_INTERVAL_MAX_US = 1 * SECOND;
const PROBE_SOON_MAX_US = 400 * MS;
const SOON_US = 20 * SECOND;

/** How long acknowledgements may be missing before a link is taken out: three probe timeouts within these. */
const SILENCE_PTOS = 3;
const SILENCE_MIN_US = 200 * MS;
const SILENCE_MAX_US = 800 * MS;
const SILENCE_SRTTS = 1.5;

export interface DownLife {
  readonly tag: "down";
  readonly sinceUs: TimeUs;
  /** From when on it is probed as one that has just gone down. */
  readonly freshUs: TimeUs;
  /** NEVER while the link is unusable: its device, address or route is gone. */
  readonly nextProbeUs: TimeUs;
  readonly intervalUs: number;
  /** For how long it must answer without a break before it is up. */
  readonly holdUs: number;
  /** The first and the last of the answers without a break; both before any time when there is none. */
  readonly answeringUs: TimeUs;
  readonly answeredUs: TimeUs;
}

export type Life =
  | { readonly tag: "connecting"; readonly sinceUs: TimeUs }
  | { readonly tag: "up"; readonly sinceUs: TimeUs }
  | {
      readonly tag: "suspect";
      readonly sinceUs: TimeUs;
      readonly upSinceUs: TimeUs;
      readonly nextProbeUs: TimeUs;
    }
  | DownLife;

export type LifeEvent =
  | "attached"
  | "detached"
  | "doubted"
  | "silent"
  | "heard"
  | "probed"
  | "recarried"
  | "unusable"
  | "restored";

/** What an event means just now. */
export interface LifeTerms {
  /** Between two probes of a suspect link. */
  readonly probeUs: number;
  /** For how long a link that goes down now must answer before it is up again. */
  readonly holdUs: number;
  /** A longer pause between answers breaks their row. */
  readonly patienceUs: number;
  /** No other link carries packets: the first answer counts. */
  readonly needed: boolean;
}

export function nextLife(life: Life, event: LifeEvent, nowUs: TimeUs, terms: LifeTerms): Life {
  switch (event) {
    case "attached":
      return life.tag === "connecting" ? { tag: "up", sinceUs: nowUs } : life;
    case "detached":
      return life.tag === "connecting" ? life : { tag: "connecting", sinceUs: nowUs };
    case "doubted":
      if (life.tag !== "up") return life;
      return { tag: "suspect", sinceUs: nowUs, upSinceUs: life.sinceUs, nextProbeUs: nowUs };
    case "silent":
      return life.tag === "up" || life.tag === "suspect" ? downLife(nowUs, nowUs, terms) : life;
    case "heard":
      return heardLife(life, nowUs, terms);
    case "probed":
      return probedLife(life, nowUs, terms);
    case "recarried":
      if (life.tag === "suspect") return { ...life, nextProbeUs: nowUs };
      return life.tag === "down" && life.nextProbeUs !== NEVER ? freshLife(life, nowUs) : life;
    case "unusable":
      return unusableLife(life, nowUs, terms);
    case "restored":
      return life.tag === "down" ? freshLife(life, nowUs) : life;
    default:
      return unreachable(event);
  }
}

/**
 * Silence that takes a link out: within a second, and not for a mere late feedback. A link whose round
 * trip is known to be longer (above 530 ms) gets one and a half of it.
 *
 * @param srttUs - smoothed round trip, 0 while unknown
 */
export function silenceLimitUs(ptoUs: number, srttUs: number): number {
  const limitUs = Math.min(Math.max(SILENCE_PTOS * ptoUs, SILENCE_MIN_US), SILENCE_MAX_US);
  return Math.max(limitUs, SILENCE_SRTTS * srttUs);
}

function downLife(nowUs: TimeUs, nextProbeUs: TimeUs, terms: LifeTerms): DownLife {
  return {
    ...{ tag: "down", sinceUs: nowUs, freshUs: nowUs, nextProbeUs, intervalUs: PROBE_FIRST_US },
    ...{ holdUs: terms.holdUs, answeringUs: -NEVER, answeredUs: -NEVER },
  };
}

/** Probed at once and then as one that has just gone down. */
function freshLife(life: DownLife, nowUs: TimeUs): DownLife {
  return { ...life, freshUs: nowUs, nextProbeUs: nowUs, intervalUs: PROBE_FIRST_US };
}

function unusableLife(life: Life, nowUs: TimeUs, terms: LifeTerms): Life {
  if (life.tag === "connecting") return life;
  if (life.tag !== "down") return downLife(nowUs, NEVER, terms);
  return life.nextProbeUs === NEVER ? life : { ...life, nextProbeUs: NEVER };
}

function heardLife(life: Life, nowUs: TimeUs, terms: LifeTerms): Life {
  if (life.tag === "suspect") return { tag: "up", sinceUs: life.upSinceUs };
  if (life.tag !== "down") return life;
  const unbroken = nowUs - life.answeredUs <= terms.patienceUs;
  const answeringUs = unbroken ? life.answeringUs : nowUs;
  if (terms.needed || nowUs - answeringUs >= life.holdUs) return { tag: "up", sinceUs: nowUs };
  const nextProbeUs = Math.min(life.nextProbeUs, nowUs + PROBE_FIRST_US);
  return { ...life, answeringUs, answeredUs: nowUs, nextProbeUs, intervalUs: PROBE_FIRST_US };
}

function probedLife(life: Life, nowUs: TimeUs, terms: LifeTerms): Life {
  if (life.tag === "suspect") return { ...life, nextProbeUs: nowUs + terms.probeUs };
  if (life.tag !== "down") return life;
  const mostUs = nowUs - life.freshUs < SOON_US ? PROBE_SOON_MAX_US : PROBE_INTERVAL_MAX_US;
  // One that answers is asked often, to see soon whether it goes on answering.
  const answers = nowUs - life.answeredUs <= terms.patienceUs;
  return {
    ...life,
    nextProbeUs: nowUs + life.intervalUs,
    intervalUs: answers ? PROBE_FIRST_US : Math.min(2 * life.intervalUs, mostUs),
  };
}
