/**
 * Pairs of links as they are found in the world. What is demanded of each: the bond is never slower
 * than the better link alone, whatever the other one is like, and adds no more than 15 ms of queue to
 * links above 10 Mbit/s.
 */
import type { Experiment } from "../experiment.ts";
import { type BondCase, bondExperiment } from "./bond.ts";

interface Profile {
  readonly name: string;
  readonly summary: string;
  readonly links: readonly [string, string];
  /** What the bond has to reach of the sum of both links, where more than the better one is promised. */
  readonly ofSum?: number;
  readonly settleSeconds?: number;
}

const GAIN_MIN = 0.97;
const QUEUE_MS_MAX = 15;

const PROFILES: readonly Profile[] = [
  {
    name: "symmetric",
    summary: "two equal links",
    links: ["rate=50mbit,delay=10ms", "rate=50mbit,delay=10ms"],
    ofSum: 0.97,
  },
  {
    name: "delay-10-40",
    summary: "equal rates, 10 and 40 ms one way",
    links: ["rate=50mbit,delay=10ms", "rate=50mbit,delay=40ms"],
    ofSum: 0.93,
  },
  {
    name: "delay-10-60",
    summary: "equal rates, 10 and 60 ms one way",
    links: ["rate=50mbit,delay=10ms", "rate=50mbit,delay=60ms"],
  },
  {
    name: "rate-5-1",
    summary: "50 and 10 Mbit/s",
    links: ["rate=50mbit,delay=10ms", "rate=10mbit,delay=10ms"],
  },
  {
    name: "rate-10-1",
    summary: "100 and 10 Mbit/s, the slow one 30 ms away",
    links: ["rate=100mbit,delay=10ms", "rate=10mbit,delay=30ms"],
  },
  {
    name: "tiny",
    summary: "50 and 2 Mbit/s",
    links: ["rate=50mbit,delay=10ms", "rate=2mbit,delay=30ms"],
  },
  {
    name: "slow",
    summary: "3 and 2 Mbit/s",
    links: ["rate=3mbit,delay=20ms,queue=100ms", "rate=2mbit,delay=30ms,queue=100ms"],
  },
  {
    name: "asymmetric",
    summary: "much down and little up",
    links: [
      "rate_down=50mbit,rate_up=10mbit,delay=10ms",
      "rate_down=25mbit,rate_up=5mbit,delay=15ms",
    ],
  },
  {
    name: "shallow",
    summary: "queues of 5 ms",
    links: ["rate=50mbit,delay=10ms,queue=5ms", "rate=50mbit,delay=10ms,queue=5ms"],
  },
  {
    name: "bufferbloat",
    summary: "a queue of a second on one link",
    links: ["rate=50mbit,delay=10ms", "rate=20mbit,delay=10ms,queue=1s"],
    settleSeconds: 5,
  },
  {
    name: "lte-jitter",
    summary: "a wire and a radio link whose delay varies by 15 ms to both sides",
    links: ["rate=50mbit,delay=10ms", "rate=30mbit,delay=30ms,jitter=15ms,queue=200ms"],
  },
  {
    name: "loss-one",
    summary: "1 % lost on one link",
    links: ["rate=50mbit,delay=10ms", "rate=50mbit,delay=10ms,loss=1%"],
  },
  {
    name: "loss-both",
    summary: "1 % lost on both links",
    links: ["rate=50mbit,delay=10ms,loss=1%", "rate=50mbit,delay=10ms,loss=1%"],
  },
  {
    name: "loss-bursts",
    summary: "0.5 % lost on one link in bursts of 5",
    links: ["rate=50mbit,delay=10ms", "rate=50mbit,delay=10ms,loss=0.5%,burst=5"],
  },
  {
    name: "policed",
    summary: "one link of 100 Mbit/s drops what is beyond 20",
    links: ["rate=50mbit,delay=10ms", "rate=100mbit,delay=10ms,police=20mbit,bucket=60000"],
  },
  {
    name: "satellite",
    summary: "a stationary satellite, 300 ms one way, beside a DSL line",
    links: [
      "rate_down=25mbit,rate_up=5mbit,delay=12ms",
      "rate_down=20mbit,rate_up=5mbit,delay=300ms,queue=300ms",
    ],
    settleSeconds: 10,
  },
  {
    name: "fibre-lte",
    summary: "100 Mbit/s and 5 ms beside jitter, loss and depth",
    links: [
      "rate=100mbit,delay=5ms,queue=20ms",
      "rate=20mbit,delay=50ms,jitter=20ms,loss=0.1%,queue=300ms",
    ],
  },
  {
    name: "dsl-leo",
    summary: "DSL beside a low satellite with jitter and bursts of loss",
    links: [
      "rate_down=25mbit,rate_up=5mbit,delay=15ms",
      "rate_down=80mbit,rate_up=10mbit,delay=25ms,jitter=7ms,loss=0.3%,burst=3",
    ],
  },
  {
    name: "cable-policed",
    summary: "a bloated cable modem beside a policed line further away",
    links: [
      "rate_down=60mbit,rate_up=6mbit,delay=10ms,queue=500ms",
      "rate=100mbit,delay=40ms,police=10mbit,bucket=60000",
    ],
    settleSeconds: 5,
  },
  {
    name: "satellite-3g",
    summary: "a lossy satellite beside a bloated, jittery radio link",
    links: [
      "rate_down=20mbit,rate_up=3mbit,delay=300ms,loss=0.1%,queue=300ms",
      "rate_down=8mbit,rate_up=2mbit,delay=50ms,jitter=20ms,queue=1s",
    ],
    settleSeconds: 10,
  },
];

export const profiles: readonly Experiment[] = PROFILES.map(
  ({ name, summary, links, ofSum, settleSeconds = 0 }): BondCase => ({
    name: `profiles/${name}`,
    summary,
    links,
    demands: [
      ["gain_over_best", ">=", GAIN_MIN],
      ...(ofSum === undefined ? [] : [["of_sum", ">=", ofSum] as const]),
    ],
    queueMsMax: QUEUE_MS_MAX,
    settleSeconds,
  }),
).map(bondExperiment);
