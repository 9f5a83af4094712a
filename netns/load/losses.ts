/**
 * Where a tunnel lost inner packets, from what its portals count: in the queue before the links, which drops what they
 * cannot carry, or anywhere behind it. By direction, since a queue answers for what goes its own way.
 */
import type { PeerStatus, PortalStatus } from "../../src/portal/snapshot.ts";
import type { Portals } from "../portals.ts";
import type { FlowDirection } from "./iperf.ts";

/** Inner packets of one direction, since the portals' start. */
export interface Losses {
  /** Dropped before they had a link: too many, too long in the queue. */
  readonly queue: number;
  /** Lost on a link and not sent again, or in vain. */
  readonly abandoned: number;
  /** Order numbers that the receiver has given up and that did not come later either. */
  readonly missing: number;
  /** Dropped by either portal for any other reason, by reason. */
  readonly otherwise: Readonly<Record<string, number>>;
}

export type LossesByWay = Readonly<Record<FlowDirection, Losses>>;

const OF_QUEUE = ["queueOverflow", "queueDropped", "queueTooLate"];
/** Reasons that cost an inner packet on its way out, and on its way in. What has no route here is not the tunnel's. */
const OUTGOING = [
  ...["noSlots", "tooLong", "tooBig", "tunMalformed"],
  ...["sendNoBuffers", "sendRefused", "sendUnreachable", "sendOtherError"],
];
const INCOMING = ["truncated", "oversize", "badTag", "unbound", "tunWriteErrors"];

export async function lossesSoFar(portals: Portals): Promise<LossesByWay> {
  const [local, remote] = await Promise.all([portals.status("local"), portals.status("remote")]);
  return lossesOf(local, remote);
}

export function lossesOf(local: PortalStatus, remote: PortalStatus): LossesByWay {
  return { up: losses(local, remote), down: losses(remote, local) };
}

export function lossesBetween(before: LossesByWay, after: LossesByWay): LossesByWay {
  return { up: less(after.up, before.up), down: less(after.down, before.down) };
}

function less(after: Losses, before: Losses): Losses {
  const reasons = Object.entries(after.otherwise);
  return {
    queue: after.queue - before.queue,
    abandoned: after.abandoned - before.abandoned,
    missing: after.missing - before.missing,
    otherwise: Object.fromEntries(
      reasons
        .map(([reason, count]) => [reason, count - (before.otherwise[reason] ?? 0)] as const)
        .filter(([, count]) => count > 0),
    ),
  };
}

function losses(sender: PortalStatus, receiver: PortalStatus): Losses {
  const sum = (status: PortalStatus, value: (peer: PeerStatus) => number) =>
    status.peers.reduce((total, peer) => total + value(peer), 0);
  const queue = Object.values(dropped(sender, OF_QUEUE)).reduce((total, one) => total + one, 0);
  return {
    queue,
    abandoned: sum(sender, ({ repair }) => repair.abandoned),
    missing: sum(receiver, ({ order }) => order.lostByProgress + order.lostByTime - order.late),
    otherwise: { ...dropped(sender, OUTGOING), ...dropped(receiver, INCOMING) },
  };
}

function dropped({ drops }: PortalStatus, reasons: readonly string[]): Record<string, number> {
  return Object.fromEntries(reasons.map((reason) => [reason, drops[reason] ?? 0]));
}
