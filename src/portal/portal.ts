/**
 * The door of this layer: a configuration in, a running portal out. Opens TUN and sockets, joins
 * them with a Local or Remote Portal by the data path, and closes everything again.
 */
import { randomBytes } from "node:crypto";
import { Arena, PACKET_OCTETS_MAX } from "../core/arena.ts";
import { MpfwdError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { SECOND } from "../core/time.ts";
import { TRANSPORTS, type Transport } from "../core/transport.ts";
import { Ladder } from "../ladder/ladder.ts";
import { COUNTER, type Engine, loadNative, type OpenedTun } from "../native/native.ts";
import { PREAMBLE_ORDERED_OCTETS } from "../wire/preamble.ts";
import { logBuffers, TUN_QUEUE_PACKETS } from "./buffers.ts";
import {
  type CaptureOptions,
  type CaptureSink,
  Captures,
  linkIds,
  linkNames,
  type RunningCapture,
} from "./capture.ts";
import type { LocalConfig, PortalConfig, RemoteConfig, TunnelConfig } from "./config.ts";
import { DataPath } from "./datapath.ts";
import { LocalPortal } from "./local.ts";
import { innerMtu, LINK_MTU, listenMtuLinks, outerMtu } from "./mtu.ts";
import type { DataPathOwner } from "./owner.ts";
import { type LinkIdentity, Peer } from "./peer.ts";
import type { Way } from "./place.ts";
import { RationedLog } from "./rationed-log.ts";
import { RemotePortal } from "./remote.ts";
import { type PortalStatus, STATUS_SCHEMA } from "./snapshot.ts";
import { dropsOf, logOffloads, overheadTable, peerStatus, remotePlace } from "./status.ts";

/** 69 MB when all are in use: the queue full, and 1 Gbit/s over 100 ms kept for repair. */
const SLOTS = 32_768;

export interface PortalOptions {
  readonly log: Log;
  readonly version: string;
  /** Of this instance: what must outlive it. */
  readonly stateDirectory: string;
  /** The portal cannot go on; stop it. Called once at the most. */
  readonly onFailure: (error: MpfwdError) => void;
}

export interface RunningPortal {
  /** As the kernel named the TUN device. */
  readonly device: string;
  /** The inner MTU to set on it, octets. */
  readonly mtu: number;
  /** The port in TCP is this portal's, not another program's. */
  hearsTcp(): boolean;
  status(): PortalStatus;
  /** Where links lead now; none at a Remote Portal. */
  ways(): readonly Way[];
  /** `heard` is called when devices, routes or names may have changed, or their names' addresses. */
  onChange(heard: () => void): void;
  /** Records outer packets. @throws MpfwdError ERR_IN_USE, ERR_USAGE */
  capture(options: CaptureOptions, sink: CaptureSink): RunningCapture;
  /** Tells the peers goodbye, closes everything. Idempotent. */
  stop(): Promise<void>;
}

/** What both kinds of portal are to this file. */
interface Owner extends DataPathOwner {
  readonly hearsTcp: boolean;
  start(nowUs: number): void;
  close(nowUs: number): void;
  ways(): readonly Way[];
  /** Called when devices, routes or names may have changed. */
  onChange: () => void;
}

/**
 * Opens TUN and sockets and starts to forward.
 *
 * @throws MpfwdError ERR_ADDON_MISSING, ERR_PRIVILEGE, ERR_TUN, ERR_LINK; nothing stays open
 */
export async function startPortal(
  config: PortalConfig,
  options: PortalOptions,
): Promise<RunningPortal> {
  const arena = new Arena(SLOTS);
  const engine = loadNative().createEngine(arena.memory, SLOTS);
  try {
    const tun = openTun(engine, config.tunnel);
    logOffloads(options.log, config.tunnel.offload, tun.offloads);
    logBuffers(options.log, engine);
    return config.role === "local"
      ? await startLocal(config, options, engine, arena, tun)
      : startRemote(config, options, engine, arena, tun);
  } catch (cause) {
    engine.destroy();
    throw cause;
  }
}

async function startLocal(
  config: LocalConfig,
  options: PortalOptions,
  engine: Engine,
  arena: Arena,
  tun: OpenedTun,
): Promise<RunningPortal> {
  const identify = (number: number) => ({
    name: config.links[number]?.name ?? String(number),
    mssBytes: config.links[number]?.mtu ?? LINK_MTU,
    mtu: Math.min(config.links[number]?.mtu ?? LINK_MTU, PACKET_OCTETS_MAX),
    controller: config.links[number]?.controller ?? config.tunnel.controller,
    dscp: config.links[number]?.dscp ?? config.tunnel.dscp,
    ecn: config.tunnel.ecn,
    keepaliveUs: config.tunnel.keepalive * SECOND,
  });
  const allowed = (number: number) => config.links[number]?.transports ?? TRANSPORTS;
  const makePeer = () => newPeer(config, 0, "remote", arena, { identify, allowed });
  const portal = new LocalPortal(config, options.log, makePeer);
  const data = new DataPath(engine, arena, portal);
  await portal.open(data);
  const links = portal.links.map(({ config, family }) => ({
    ...{ mtu: config.mtu, family, transports: config.transports },
  }));
  const mtu = config.tunnel.mtu ?? innerMtu(links, tagOctets(config.tunnel));
  fit(portal.peer, mtu, config.tunnel);
  return run(config, options, data, portal, tun, mtu, (startedUs) => ({
    session: portal.initiator.counters,
    peers: [
      peerStatus(engine.nowUs(), startedUs, portal.peer, (link) => {
        const own = portal.links[link.number];
        return { device: own?.config.device ?? null, remote: own?.address ?? null };
      }),
    ],
  }));
}

function newPeer(
  { tunnel, role }: PortalConfig,
  index: number,
  name: string,
  arena: Arena,
  links: {
    readonly identify: (number: number) => LinkIdentity;
    readonly allowed: (number: number) => readonly Transport[];
  },
): Peer {
  const makeLadder = (number: number, octets: number) =>
    new Ladder({
      ...{ role, random: randomBytes, fullOctets: octets },
      allowed: links.allowed(number),
    });
  const peer = new Peer(index, name, arena, links.identify, makeLadder);
  peer.bond.egress.duplicate = tunnel.realtime === "duplicate";
  return peer;
}

/** Tells what a full packet is, inside and as a message from its preamble to its tag. */
function fit(peer: Peer, mtu: number, tunnel: TunnelConfig): void {
  peer.fullOctets = mtu + PREAMBLE_ORDERED_OCTETS + tagOctets(tunnel);
  peer.tunMtu = mtu;
  peer.innerMtu = mtu;
  peer.bond.egress.queue.mtu = mtu;
}

function startRemote(
  config: RemoteConfig,
  options: PortalOptions,
  engine: Engine,
  arena: Arena,
  tun: OpenedTun,
): RunningPortal {
  const mssBytes = Math.max(LINK_MTU, config.tunnel.mtu ?? 0);
  const { controller, dscp, ecn, keepalive } = config.tunnel;
  const keepaliveUs = keepalive * SECOND;
  const wanted = outerMtu(config.tunnel.mtu ?? 0, tagOctets(config.tunnel), 6);
  const sizeMax = Math.min(Math.max(LINK_MTU, wanted), PACKET_OCTETS_MAX);
  const transports = TRANSPORTS.filter((transport) => config.transports.includes(transport));
  const identify = (number: number) => ({
    ...{ name: String(number), mssBytes, mtu: sizeMax, controller, dscp, ecn, keepaliveUs },
  });
  const portal = new RemotePortal(config, options.log, options.stateDirectory, (index, client) =>
    newPeer(config, index, client.name, arena, { identify, allowed: () => transports }),
  );
  const data = new DataPath(engine, arena, portal);
  portal.open(data);
  const links = listenMtuLinks(config.listen, config.transports);
  const mtu = config.tunnel.mtu ?? innerMtu(links, tagOctets(config.tunnel));
  for (const peer of data.peers) fit(peer, mtu, config.tunnel);
  return run(config, options, data, portal, tun, mtu, (startedUs) => ({
    session: portal.responder.counters,
    peers: data.peers.map((peer) => {
      const nowUs = engine.nowUs();
      const contenders = portal.responder.contenders(nowUs, peer.index);
      return peerStatus(nowUs, startedUs, peer, (link) => remotePlace(peer, link), contenders);
    }),
  }));
}

function run(
  config: PortalConfig,
  options: PortalOptions,
  data: DataPath,
  owner: Owner,
  tun: OpenedTun,
  mtu: number,
  snapshot: (
    startedUs: number,
  ) => Pick<PortalStatus, "peers"> & { session: Readonly<Record<string, number>> },
): RunningPortal {
  const { engine } = data;
  const startedUs = engine.nowUs();
  data.start(tun.handle, () => {
    const text = `the TUN device ${tun.name} was deleted; start the portal again`;
    options.onFailure(new MpfwdError("ERR_TUN", text));
  });
  watchSizes(data, options.log);
  owner.start(startedUs);
  data.wake();
  const captures = capturesOf(engine, data);
  let stopped = false;
  return {
    ...{ device: tun.name, mtu },
    hearsTcp: () => owner.hearsTcp,
    status: () => {
      const { session, peers } = snapshot(startedUs);
      return {
        ...{ schema: STATUS_SCHEMA, version: options.version, name: config.tunnel.name },
        ...{ role: config.role, pid: process.pid, mtu, offload: tun.offloads !== 0 },
        uptimeSeconds: (engine.nowUs() - startedUs) / 1e6,
        overhead: overheadTable(tagOctets(config.tunnel)),
        ...totals(data),
        drops: dropsOf(data, session),
        peers,
      };
    },
    ways: () => owner.ways(),
    onChange: (heard) => {
      owner.onChange = heard;
    },
    capture: (capture, sink) => captures.begin(capture, sink),
    stop: async () => {
      if (stopped) return;
      stopped = true;
      owner.close(engine.nowUs());
      data.wake();
      captures.close();
      engine.destroy();
    },
  };
}

function capturesOf(engine: Engine, data: DataPath): Captures {
  return new Captures({
    tap: engine,
    missed: () => data.arena.counters[COUNTER.tapMissed] as number,
    linkIds: (name) => linkIds(data, name),
    linkNames: () => linkNames(data),
    onChange: (running) => {
      data.shareLoop = running;
    },
  });
}

/** Operator and inner senders learn what the links carry now, which a flapping link or a peer's answers may change often. */
function watchSizes(data: DataPath, log: Log): void {
  const changes = new RationedLog(log);
  data.sizes.onChange = ({ name, innerMtu }) => {
    const text = `inner packets to ${name} may have ${innerMtu} octets from now on`;
    changes.info(data.engine.nowUs(), text);
  };
  for (const peer of data.peers) data.tooLong.watch(peer);
}

function totals(data: DataPath) {
  const links = data.peers.flatMap(({ bond, past }) => [
    past,
    ...bond.links.map(({ counters }) => counters),
  ]);
  const sum = (key: "packetsOut" | "packetsIn" | "bytesOut" | "bytesIn") =>
    links.reduce((total, counters) => total + counters[key], 0);
  return {
    packetsOut: sum("packetsOut"),
    packetsIn: sum("packetsIn"),
    bytesOut: sum("bytesOut"),
    bytesIn: sum("bytesIn"),
    queuePackets: data.peers.reduce((total, { bond }) => total + bond.egress.queue.packets, 0),
    queueBytes: data.peers.reduce((total, { bond }) => total + bond.egress.queue.bytes, 0),
    slotsFree: data.arena.freeCount,
    slots: data.arena.slotCount,
  };
}

function tagOctets(tunnel: TunnelConfig): number {
  return tunnel.encrypt ? 16 : tunnel.tagOctets;
}

function openTun(engine: Engine, tunnel: TunnelConfig): OpenedTun {
  try {
    const { name, offload } = tunnel;
    return engine.openTun({ name, offload, queuePackets: TUN_QUEUE_PACKETS });
  } catch (cause) {
    throw tunError(tunnel.name, cause);
  }
}

function tunError(name: string, cause: unknown): MpfwdError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "EPERM" || code === "EACCES") {
    const text = `cannot create the TUN device ${name}: it needs CAP_NET_ADMIN and /dev/net/tun`;
    return new MpfwdError("ERR_PRIVILEGE", text, cause);
  }
  if (code === "ENOENT" || code === "ENODEV" || code === "ENXIO") {
    const mend = "load the tun module (modprobe tun), or give the container the device";
    return new MpfwdError("ERR_PRIVILEGE", `there is no /dev/net/tun: ${mend}`, cause);
  }
  if (code === "EBUSY") {
    const text = `the device ${name} exists and is in use by another program`;
    return new MpfwdError("ERR_TUN", text, cause);
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MpfwdError("ERR_TUN", `cannot create the TUN device ${name}: ${reason}`, cause);
}
