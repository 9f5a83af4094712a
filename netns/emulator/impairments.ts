/** What one direction of a link does to packets beside their rate, and what "nothing" is. */
export interface Impairments {
  /** One-way delay, microseconds. */
  readonly delayUs: number;
  /** The delay varies evenly by this much to both sides, microseconds; order is kept. */
  readonly jitterUs: number;
  /** Share of packets lost at random, 0..1. */
  readonly loss: number;
  /** Mean length of a run of lost packets, 1 and up; 1: every packet is judged on its own. */
  readonly burst: number;
  /** Share of packets that arrive twice, 0..1. */
  readonly duplicate: number;
  /** Share of packets that are overtaken, 0..1. */
  readonly reorder: number;
  /** By how many packets an overtaken packet is overtaken, 1 and up. */
  readonly gap: number;
  /** Numbers of the packets to lose; the first packet of a direction is 1. */
  readonly lose: readonly number[];
  /** The direction passes this many packets and then nothing. */
  readonly stop: number;
  /** Bits per second, Ethernet header included, beyond which packets are dropped at once; 0: all pass. */
  readonly police: number;
  /** Octets that may pass at once before `police` applies. */
  readonly bucket: number;
  /** Passes nothing, silently. */
  readonly cut: boolean;
}

/** For `stop`: passes packets for ever. A number that JSON carries. */
export const NO_STOP = Number.MAX_SAFE_INTEGER;

export const NO_IMPAIRMENTS: Impairments = {
  delayUs: 0,
  jitterUs: 0,
  loss: 0,
  burst: 1,
  duplicate: 0,
  reorder: 0,
  gap: 3,
  lose: [],
  stop: NO_STOP,
  police: 0,
  bucket: 60_000,
  cut: false,
};
