/**
 * Two portals joined by a seeded network in virtual time: one Initiator and one Responder, each
 * behind a model of the addon, carrying out effects as a portal loop does and checking them while at
 * it. Links lose, duplicate and reorder as they are told; each of a link's transports may be blocked in
 * either direction.
 */
import assert from "node:assert/strict";
import { PATH_OCTETS } from "../../src/core/arena.ts";
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, type TimeUs } from "../../src/core/time.ts";
import { type Transport, transportNumber } from "../../src/core/transport.ts";
import type {
  Attached as AttachedEffect,
  CommonEffect,
  ContextKeys,
  InitiatorEffect,
  ResponderEffect,
} from "../../src/session/effects.ts";
import { Initiator, type InitiatorOptions } from "../../src/session/initiator.ts";
import { Responder, type ResponderOptions } from "../../src/session/responder.ts";
import { createMessage } from "../../src/wire/message.ts";
import { SUITE } from "../../src/wire/offer.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { AddonModel, hex, type Opened, sealNatively } from "./addon-model.ts";

export const CLIENT_ID = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
export const KEY = new Uint8Array(32).fill(0x42);

/** A path as the Remote Portal sees a client: 192.0.2.`host`, UDP port `port`. */
export function pathOf(host: number, port = 40000): Path {
  const path = new Uint8Array(PATH_OCTETS);
  path[PATH_AT.family] = 4;
  path[PATH_AT.transport] = 1;
  path.set([port >>> 8, port & 255], PATH_AT.port);
  path.set([192, 0, 2, host], PATH_AT.remote);
  path.set([198, 51, 100, 1], PATH_AT.local);
  return path;
}

/** The same client by another transport; each TCP connection has a port of its own. */
export function byTransport(path: Path, transport: Transport): Path {
  const other = path.slice();
  other[PATH_AT.transport] = transportNumber(transport);
  if (transport === "raw") other.fill(0, PATH_AT.port, PATH_AT.scope);
  if (transport === "tcp") other[PATH_AT.port] = (other[PATH_AT.port] as number) ^ 0x20;
  return other;
}

/** Key of a link and a path's transport. */
export function settledAt(link: number, path: Path): string {
  return `${link} ${path[PATH_AT.transport]}`;
}

interface Attached {
  readonly context: number;
  readonly transmitId: number;
  readonly path: Path | null;
  /** Of a client's link. */
  readonly transport?: Transport;
}

interface LinkContext {
  readonly peer: number;
  readonly link: number;
  readonly transmit: ContextKeys;
}

/** What both portals do with effects. */
export class Host<Effect extends { readonly tag: string }> {
  readonly addon = new AddonModel();
  readonly contexts = new Map<number, LinkContext>();
  /** By "peer link". */
  readonly attached = new Map<string, Attached>();
  readonly seqs = new Map<string, { data: number; control: number }>();
  readonly heard = new Map<string, { data: number; control: number }>();
  readonly log: Effect[] = [];
  readonly usedContexts = new Set<number>();
  established = 0;

  common(effect: CommonEffect | AttachedEffect): void {
    switch (effect.tag) {
      case "listen":
        this.#listen(effect.id, effect.context, effect.keys, 0, 0);
        break;
      case "listenLink": {
        const { id, context, peer, link, receive, transmit, continues } = effect;
        const heard = this.heard.get(`${peer} ${link}`);
        const from = continues === 0 ? undefined : heard;
        this.#listen(id, context, receive, from?.data ?? 0, from?.control ?? 0);
        this.contexts.set(context, { peer, link, transmit });
        break;
      }
      case "unlisten":
        assert.equal(this.addon.receives.get(effect.id)?.context, effect.context);
        this.addon.removeReceive(effect.id);
        for (const [key, { context }] of this.attached) {
          assert.notEqual(context, effect.context, `${key} is still attached`);
        }
        this.contexts.delete(effect.context);
        break;
      case "established":
        this.established += 1;
        if (!effect.continued) this.forget(effect.peer);
        break;
      case "attached": {
        const { tag: _, peer, link, ...attached } = effect;
        const { context } = attached;
        const own = this.contexts.get(context);
        assert.ok(own !== undefined && own.peer === peer && own.link === link);
        this.attached.set(`${peer} ${link}`, attached);
        break;
      }
      case "detached": {
        const { peer, link, context } = effect;
        assert.equal(this.attached.get(`${peer} ${link}`)?.context, context);
        this.attached.delete(`${peer} ${link}`);
        break;
      }
      case "lost":
        for (const key of this.attached.keys()) assert.ok(!key.startsWith(`${effect.peer} `));
        break;
      default:
    }
  }

  /** Seals the link's next message of a type. */
  seal(peer: number, link: number, type: number, body: Uint8Array): Uint8Array | null {
    const key = `${peer} ${link}`;
    const attached = this.attached.get(key);
    if (attached === undefined) return null;
    const keys = this.contexts.get(attached.context)?.transmit as ContextKeys;
    const seqs = this.seqs.get(key) ?? { data: 0, control: 0 };
    this.seqs.set(key, seqs);
    const which = type === TYPE.data ? "data" : "control";
    const seq = seqs[which];
    seqs[which] += 1;
    const message = createMessage({ type, linkId: attached.transmitId, seq }, 8 + body.length);
    message.set(body, 8);
    return sealNatively(keys, seq, message);
  }

  /** Notes a link's largest numbers, as the portal loop's links do. */
  note(opened: Opened): LinkContext | undefined {
    const own = this.contexts.get(opened.context);
    if (own === undefined) return undefined;
    const key = `${own.peer} ${own.link}`;
    const heard = this.heard.get(key) ?? { data: 0, control: 0 };
    this.heard.set(key, heard);
    if (opened.type === TYPE.data) heard.data = Math.max(heard.data, opened.seq + 1);
    else if (opened.type >= TYPE.feedback) {
      heard.control = Math.max(heard.control, opened.seq + 1);
    }
    return own;
  }

  tags(): string[] {
    return this.log.map(({ tag }) => tag);
  }

  forget(peer: number): void {
    for (const table of [this.seqs, this.heard]) {
      for (const key of table.keys()) if (key.startsWith(`${peer} `)) table.delete(key);
    }
  }

  #listen(id: number, context: number, keys: ContextKeys, data: number, control: number): void {
    assert.ok(!this.usedContexts.has(context), "a context number is used once");
    this.usedContexts.add(context);
    this.addon.addReceive(id, context, keys, data, control);
  }
}

export interface WorldOptions {
  readonly seed?: number;
  readonly links?: number;
  /** Of every link; default UDP alone. */
  readonly transports?: readonly Transport[];
  readonly loss?: number;
  readonly duplicate?: number;
  readonly delayUs?: number;
  readonly jitterUs?: number;
  readonly initiator?: Partial<InitiatorOptions>;
  readonly responder?: Partial<ResponderOptions>;
}

interface Flying {
  readonly atUs: TimeUs;
  readonly order: number;
  readonly deliver: () => void;
}

export class World {
  nowUs: TimeUs = 1000 * MS;
  readonly random: SeededRandom;
  client: Initiator;
  portal: Responder;
  clientHost = new Host<InitiatorEffect>();
  portalHost = new Host<ResponderEffect>();
  /** Where the Remote Portal sees each link by UDP; by another transport: `byTransport` of it. */
  readonly paths: Path[];
  /** What does not pass: "up 0 raw" for link 0's raw packets to the Remote Portal. */
  readonly blocked = new Set<string>();
  readonly transports: readonly Transport[];
  loss: number;
  duplicate: number;
  delayUs: number;
  jitterUs: number;
  record: Uint8Array | undefined;
  /** Everything that was put on the network. */
  readonly wire: { readonly up: boolean; readonly octets: Uint8Array; readonly path: Path }[] = [];
  /** Octets up from and down to each path. */
  readonly octets = new Map<string, { up: number; down: number }>();
  /** Where the portal sends by other transports than the home's, as its ladders would know: `settledAt`. */
  readonly settled = new Map<string, Path>();
  /** DATA that a portal accepted: "up 0" for link 0 upwards. */
  readonly delivered: string[] = [];
  dataGoesTo: Path[] = [];
  #flying: Flying[] = [];
  #order = 0;
  readonly #options: WorldOptions;
  #portalRuns = true;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.random = new SeededRandom(options.seed ?? 1);
    this.loss = options.loss ?? 0;
    this.duplicate = options.duplicate ?? 0;
    this.delayUs = options.delayUs ?? 10 * MS;
    this.jitterUs = options.jitterUs ?? 0;
    this.transports = options.transports ?? ["udp"];
    this.paths = Array.from({ length: options.links ?? 2 }, (_, index) => pathOf(index + 1));
    this.client = this.#createClient();
    this.portal = this.#createPortal();
    this.portal.start(this.nowUs);
    this.#drainPortal();
  }

  connect(): void {
    this.client.start(this.nowUs);
    this.#drainClient();
  }

  /** A new process with the same configuration. */
  restartClient(): void {
    this.clientHost = new Host();
    this.client = this.#createClient();
    this.connect();
  }

  stopPortal(): void {
    this.#portalRuns = false;
  }

  startPortal(): void {
    this.#portalRuns = true;
    this.portalHost = new Host();
    this.portal = this.#createPortal();
    this.portal.start(this.nowUs);
    this.#drainPortal();
  }

  /** Lets virtual time pass. */
  run(durationUs: number): void {
    const endUs = this.nowUs + durationUs;
    for (let steps = 0; ; steps += 1) {
      assert.ok(steps < 1_000_000, "the world does not come to rest");
      const nextUs = this.#nextUs();
      if (nextUs > endUs) break;
      this.nowUs = Math.max(this.nowUs, nextUs);
      this.#step();
    }
    this.nowUs = endUs;
  }

  /** Runs until `done`, at most `limitUs`. */
  runUntil(done: () => boolean, limitUs: number): void {
    const endUs = this.nowUs + limitUs;
    while (!done()) {
      assert.ok(this.nowUs < endUs, `not within ${limitUs / 1e6} s, seed ${this.#options.seed}`);
      this.run(50 * MS);
    }
  }

  get allAttached(): boolean {
    const links = this.paths.length;
    return this.clientHost.attached.size === links && this.portalHost.attached.size === links;
  }

  doClient(action: (client: Initiator) => void): void {
    action(this.client);
    this.#drainClient();
  }

  doPortal(action: (portal: Responder) => void): void {
    action(this.portal);
    this.#drainPortal();
  }

  /** By the transport that attached the link, unless told otherwise. */
  sendUp(
    link: number,
    type: number = TYPE.data,
    body: Uint8Array = new Uint8Array(20),
    transport = this.clientHost.attached.get(`0 ${link}`)?.transport ?? "udp",
  ): boolean {
    const octets = this.clientHost.seal(0, link, type, body);
    if (octets !== null) this.#up(link, transport, octets);
    return octets !== null;
  }

  sendDown(link: number): boolean {
    const octets = this.portalHost.seal(0, link, TYPE.data, new Uint8Array(20));
    const path = this.portalHost.attached.get(`0 ${link}`)?.path ?? null;
    if (octets === null || path === null) return false;
    this.dataGoesTo.push(path);
    this.#down(path, octets);
    return true;
  }

  /** Octets that reach the Remote Portal from anywhere. */
  inject(octets: Uint8Array, path: Path): void {
    if (!this.#portalRuns) return;
    const count = this.#count(path);
    count.up += octets.length;
    const opened = this.portalHost.addon.open(octets);
    if (typeof opened === "string") return;
    const own = this.portalHost.note(opened);
    if (own !== undefined) this.#checkSource(opened, own, path, octets.length);
    if (opened.type === TYPE.data) this.delivered.push(`up ${own?.link}`);
    else this.portal.handle(this.nowUs, { ...opened, path });
    this.#drainPortal();
  }

  /** Octets that reach a socket of the client. */
  injectDown(octets: Uint8Array, link: number, transport: Transport = "udp"): void {
    const opened = this.clientHost.addon.open(octets);
    if (typeof opened === "string") return;
    const own = this.clientHost.note(opened);
    if (opened.type === TYPE.data) this.delivered.push(`down ${own?.link}`);
    else this.client.handle(this.nowUs, { ...opened, link, transport });
    this.#drainClient();
  }

  /** What a second observer on the way does with a message; default: nothing. */
  tap: (up: boolean, octets: Uint8Array, path: Path) => void = () => {};

  #checkSource(opened: Opened, own: LinkContext, path: Path, octets: number): void {
    const attached = this.portalHost.attached.get(`${own.peer} ${own.link}`);
    if (attached === undefined || attached.path === null) return;
    const settled = this.settled.get(settledAt(own.link, path)) ?? null;
    if ([attached.path, settled].some((known) => known && hex(known) === hex(path))) return;
    this.portal.sourceDiffers(this.nowUs, opened.context, path, octets, settled);
  }

  #count(path: Path): { up: number; down: number } {
    const count = this.octets.get(hex(path)) ?? { up: 0, down: 0 };
    this.octets.set(hex(path), count);
    return count;
  }

  /** As the client's loop carries out `send`: every socket is open. */
  #upBy(link: number, transport: Transport | null, octets: Uint8Array): void {
    for (const each of transport === null ? this.transports : [transport]) {
      this.#up(link, each, octets);
    }
  }

  #up(link: number, transport: Transport, octets: Uint8Array): void {
    const path = byTransport(this.paths[link] as Path, transport);
    this.wire.push({ up: true, octets, path });
    this.tap(true, octets, path);
    if (!this.blocked.has(`up ${link} ${transport}`)) this.#fly(() => this.inject(octets, path));
  }

  #down(path: Path, octets: Uint8Array): void {
    this.wire.push({ up: false, octets, path });
    this.#count(path).down += octets.length;
    this.tap(false, octets, path);
    for (const transport of this.transports) {
      const link = this.paths.findIndex((own) => hex(byTransport(own, transport)) === hex(path));
      if (link < 0 || this.blocked.has(`down ${link} ${transport}`)) continue;
      this.#fly(() => {
        // The client may have left that address while the packet was under way.
        const own = byTransport(this.paths[link] as Path, transport);
        if (hex(own) === hex(path)) this.injectDown(octets, link, transport);
      });
    }
  }

  #fly(deliver: () => void): void {
    const copies = this.random.next() < this.duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.random.next() < this.loss) continue;
      const atUs = this.nowUs + this.delayUs + Math.round(this.random.next() * this.jitterUs);
      this.#order += 1;
      this.#flying.push({ atUs, order: this.#order, deliver });
    }
  }

  #nextUs(): TimeUs {
    const arrivalUs = this.#flying.reduce((least, { atUs }) => Math.min(least, atUs), NEVER);
    const portalUs = this.#portalRuns ? this.portal.deadlineUs() : NEVER;
    return Math.min(arrivalUs, portalUs, this.client.deadlineUs());
  }

  #step(): void {
    const due = this.#flying.filter(({ atUs }) => atUs <= this.nowUs);
    this.#flying = this.#flying.filter(({ atUs }) => atUs > this.nowUs);
    due.sort((a, b) => a.atUs - b.atUs || a.order - b.order);
    for (const { deliver } of due) deliver();
    this.client.timeout(this.nowUs);
    this.#drainClient();
    if (!this.#portalRuns) return;
    this.portal.timeout(this.nowUs);
    this.#drainPortal();
  }

  #drainClient(): void {
    for (let effect = this.client.pollEffect(); effect; effect = this.client.pollEffect()) {
      const { addon } = this.clientHost;
      this.clientHost.log.push(effect);
      if (effect.tag === "send") this.#upBy(effect.link, effect.transport, effect.octets);
      else if (effect.tag === "addReset") {
        assert.ok(!addon.resets.has(effect.id));
        addon.resets.set(effect.id, { token: effect.token, context: effect.context });
      } else if (effect.tag === "removeReset") assert.ok(addon.resets.delete(effect.id));
      else if (effect.tag === "sendControl") {
        this.sendUp(effect.link, TYPE.control, effect.body);
      } else if (effect.tag !== "refused") this.clientHost.common(effect);
    }
  }

  #drainPortal(): void {
    const { portalHost } = this;
    for (let effect = this.portal.pollEffect(); effect; effect = this.portal.pollEffect()) {
      portalHost.log.push(effect);
      if (effect.tag === "send") this.#down(effect.path, effect.octets);
      else if (effect.tag === "addClient") {
        const { key, context } = effect;
        portalHost.addon.clients.set(hex(effect.clientId), { key, context });
      } else if (effect.tag === "moved") {
        const key = `${effect.peer} ${effect.link}`;
        const before = portalHost.attached.get(key);
        assert.equal(before?.context, effect.context);
        portalHost.attached.set(key, { ...(before as Attached), path: effect.path });
      } else if (effect.tag === "rerouted") {
        const { link, before, path } = effect;
        assert.equal(hex(this.settled.get(settledAt(link, path)) ?? assert.fail()), hex(before));
        this.settled.set(settledAt(link, path), path);
      } else if (effect.tag === "persist") this.record = effect.record;
      else if (effect.tag === "sendControl") {
        const { peer, link, body } = effect;
        const octets = portalHost.seal(peer, link, TYPE.control, body);
        const path = portalHost.attached.get(`${peer} ${link}`)?.path;
        assert.ok(octets !== null && path, "CONTROL goes out on attached links only");
        this.#down(path, octets);
      } else portalHost.common(effect);
    }
  }

  #createClient(): Initiator {
    const links = this.paths.map((_, number) => ({ number, transports: this.transports }));
    return new Initiator({
      clientId: CLIENT_ID,
      key: KEY,
      suite: SUITE.hmacSha256,
      dataTag: 10,
      links,
      random: this.random.octets,
      ...this.#options.initiator,
    });
  }

  #createPortal(): Responder {
    return new Responder({
      clients: [{ clientId: CLIENT_ID, key: KEY, addresses: [] }],
      suite: SUITE.hmacSha256,
      dataTagMin: 10,
      transports: ["raw", "udp", "tcp"],
      random: this.random.octets,
      ...this.#options.responder,
      ...(this.record === undefined ? {} : { record: this.record }),
    });
  }
}
