/**
 * Whether a link may be used: a pure function from (life, event) to life.
 *
 *   connecting --attached--> up --silent--> down --heard--> up
 *                            any --detached--> connecting
 *   down --recarried--> down, and asked again at once
 *
 * "Heard" means that the peer acknowledged something new on this link: what the peer sends proves the
 * other direction only.
 */
import { unreachable } from "../core/assert.ts";
import { MS, SECOND, type TimeUs } from "../core/time.ts";

/** Probes of a silent link: at once often, then ever more seldom; a short outage ends soon after its end. */
const PROBE_FIRST_US = 100 * MS;
const PROBE_INTERVAL_MAX_US = 2 * SECOND;
const PROBE_SOON_MAX_US = 400 * MS;
const SOON_US = 20 * SECOND;

/** How long acknowledgements may be missing before a link is taken out: three probe timeouts within these. */
const SILENCE_PTOS = 3;
const SILENCE_MIN_US = 200 * MS;
const SILENCE_MAX_US = 800 * MS;
const SILENCE_SRTTS = 1.5;

export type Life =
  | { readonly tag: "connecting"; readonly sinceUs: TimeUs }
  | { readonly tag: "up"; readonly sinceUs: TimeUs }
  | {
      readonly tag: "down";
      readonly sinceUs: TimeUs;
      readonly nextProbeUs: TimeUs;
      readonly intervalUs: number;
    };

export type LifeEvent = "attached" | "detached" | "silent" | "heard" | "probed" | "recarried";

export function nextLife(life: Life, event: LifeEvent, nowUs: TimeUs): Life {
  switch (event) {
    case "attached":
      return life.tag === "connecting" ? { tag: "up", sinceUs: nowUs } : life;
    case "detached":
      return life.tag === "connecting" ? life : { tag: "connecting", sinceUs: nowUs };
    case "silent":
      if (life.tag !== "up") return life;
      return { tag: "down", sinceUs: nowUs, nextProbeUs: nowUs, intervalUs: PROBE_FIRST_US };
    case "heard":
      return life.tag === "down" ? { tag: "up", sinceUs: nowUs } : life;
    case "recarried":
      if (life.tag !== "down") return life;
      return { ...life, nextProbeUs: nowUs, intervalUs: PROBE_FIRST_US };
    case "probed":
      return life.tag === "down" ? probedLife(life, nowUs) : life;
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

function probedLife(life: Life & { tag: "down" }, nowUs: TimeUs): Life {
  const mostUs = nowUs - life.sinceUs < SOON_US ? PROBE_SOON_MAX_US : PROBE_INTERVAL_MAX_US;
  return {
    ...life,
    nextProbeUs: nowUs + life.intervalUs,
    intervalUs: Math.min(2 * life.intervalUs, mostUs),
  };
}
