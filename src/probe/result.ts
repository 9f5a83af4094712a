/** From trains that have run to figures: who was reached, and the measurement of a link. */
import { SECOND } from "../core/time.ts";
import { TRANSPORTS, type Transport } from "../core/transport.ts";
import type { LinkMeasurement, TrainResult, TransportMeasurement } from "./measurement.ts";
import { DIRECTIONS, type Direction, type Reached } from "./plan.ts";
import type { RunningTrain } from "./running.ts";
import { delayGrowthUs, jitterUs, spreadOf } from "./statistics.ts";
import type { TransportNotes } from "./transport-notes.ts";

/** From the slow trains, of transports that are open. */
export function reachedBy(
  trains: Iterable<RunningTrain>,
  notes: ReadonlyMap<Transport, TransportNotes>,
): Reached {
  const reached = new Map<Transport, { up: boolean; down: boolean }>();
  for (const { planned, report, arrivals } of trains) {
    const { name, transport, direction } = planned;
    if (name !== "slow" || notes.get(transport)?.open !== true) continue;
    const before = reached.get(transport) ?? { up: false, down: false };
    const came = arrivals.received > 0;
    const echoed = direction === "echo" && (came || (report?.received ?? 0) > 0);
    reached.set(transport, { up: before.up || echoed, down: before.down || came });
  }
  return reached;
}

export function measurementOf(
  facts: Omit<LinkMeasurement, "transports"> & { readonly otherProtocolPassed: boolean },
  trains: readonly RunningTrain[],
  notes: ReadonlyMap<Transport, TransportNotes>,
): LinkMeasurement {
  const other = trains.find(({ planned }) => planned.name === "otherProtocol");
  return {
    ...facts,
    transports: TRANSPORTS.flatMap((transport) => {
      const ofTransport = notes.get(transport);
      return ofTransport === undefined ? [] : [measured(ofTransport, trains)];
    }),
    otherProtocolPassed:
      other === undefined ? null : facts.otherProtocolPassed || (other.report?.received ?? 0) > 0,
  };
}

function measured(notes: TransportNotes, all: readonly RunningTrain[]): TransportMeasurement {
  const { transport, failure, local, observed } = notes;
  const trains = all.filter(
    ({ planned }) => planned.transport === transport && planned.name !== "otherProtocol",
  );
  const directions = DIRECTIONS.map((direction) => [
    direction,
    {
      direction,
      trains: trains.flatMap((train) => resultOf(train, direction) ?? []),
      ...notes.inDirection(direction),
    },
  ]);
  return {
    ...{ transport, failure, local, observed, icmp: notes.icmp },
    rttUs: spreadOf(trains.flatMap(({ rttsUs }) => rttsUs)),
    errors: { ...notes.errors },
    directions: Object.fromEntries(directions),
  };
}

/** Null: the train did not go that way. */
function resultOf(train: RunningTrain, direction: Direction): TrainResult | null {
  const went = train.planned.direction;
  if (went !== "echo" && went !== direction) return null;
  return direction === "up" ? upResult(train) : downResult(train);
}

function common({ planned }: RunningTrain) {
  const { name, octets, intervalUs, trafficClass, idleSeconds } = planned;
  return {
    name,
    octets,
    trafficClass,
    idleSeconds,
    rate: intervalUs === 0 ? 0 : SECOND / intervalUs,
  };
}

function upResult(train: RunningTrain): TrainResult {
  const { report, departed, unsent, arrivals } = train;
  const lost = Object.values(unsent).reduce((sum, count) => sum + count, 0);
  const transits = train.transitsThereUs;
  return {
    ...common(train),
    known: report !== null || arrivals.received > 0,
    planned: departed,
    sent: departed - lost,
    unsent: { ...unsent },
    // What came back has arrived there, though the report may be older.
    received: Math.max(report?.received ?? 0, arrivals.received),
    duplicates: report?.duplicates ?? 0,
    reordered: report?.reordered ?? 0,
    displacement: report?.displacement ?? 0,
    remarked: report?.remarked ?? 0,
    remarkedTo: report?.remarkedTo ?? 0,
    jitterUs: jitterUs(transits),
    delayGrowthUs: delayGrowthUs(transits),
    refused: null,
  };
}

function downResult(train: RunningTrain): TrainResult {
  const { report, arrivals, planned } = train;
  const echo = planned.direction === "echo";
  const said = echo ? Math.max(report?.received ?? 0, arrivals.received) : (report?.sent ?? 0);
  const status = echo ? "none" : (report?.status ?? "none");
  const transits = arrivals.transitsUs ?? [];
  return {
    ...common(train),
    known:
      arrivals.received > 0 ||
      (echo ? report !== null : status !== "none" && status !== "underWay"),
    planned: echo ? said : planned.count,
    sent: Math.max(said, arrivals.received),
    unsent: {},
    received: arrivals.received,
    duplicates: arrivals.duplicates,
    reordered: arrivals.reordered,
    displacement: arrivals.displacement,
    remarked: arrivals.remarked,
    remarkedTo: arrivals.remarkedTo,
    // What came back has been under way twice.
    jitterUs: echo ? null : jitterUs(transits),
    delayGrowthUs: echo ? null : delayGrowthUs(transits),
    refused: status === "noPath" || status === "tooMuch" ? status : null,
  };
}
