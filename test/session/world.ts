/**
 * Two portals joined by a seeded network in virtual time: one Initiator and one Responder, each
 * behind a model of the addon, carrying out effects as a portal loop does and checking them while at
 * it. What the network does to packets is `network.ts`.
 */
import assert from "node:assert/strict";
import type { Path } from "../../src/core/path.ts";
import { MS, NEVER, type TimeUs } from "../../src/core/time.ts";
import type { Transport } from "../../src/core/transport.ts";
import { Initiator, type InitiatorOptions } from "../../src/session/initiator.ts";
import { Responder, type ResponderOptions } from "../../src/session/responder.ts";
import { SUITE } from "../../src/wire/offer.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { hex, type Opened } from "./addon-model.ts";
import { ClientHost, type LinkContext, PortalHost } from "./host.ts";
import { Network, type NetworkOptions } from "./network.ts";
import { settledAt } from "./paths.ts";

export const CLIENT_ID = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
export const KEY = new Uint8Array(32).fill(0x42);

export interface WorldOptions extends NetworkOptions {
  readonly initiator?: Partial<InitiatorOptions>;
  readonly responder?: Partial<ResponderOptions>;
}

export class World extends Network {
  client: Initiator;
  portal: Responder;
  clientHost = new ClientHost();
  portalHost = new PortalHost();
  record: Uint8Array | undefined;
  /** Where the portal sends by other transports than the home's, as its ladders would know: `settledAt`. */
  readonly settled = new Map<string, Path>();
  /** DATA that a portal accepted: "up 0" for link 0 upwards. */
  readonly delivered: string[] = [];
  dataGoesTo: Path[] = [];
  readonly #options: WorldOptions;
  #portalRuns = true;

  constructor(options: WorldOptions = {}) {
    super(options);
    this.#options = options;
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
    this.clientHost = new ClientHost();
    this.client = this.#createClient();
    this.connect();
  }

  stopPortal(): void {
    this.#portalRuns = false;
  }

  startPortal(): void {
    this.#portalRuns = true;
    this.portalHost = new PortalHost();
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
    if (octets !== null) this.up(link, transport, octets);
    return octets !== null;
  }

  sendDown(link: number): boolean {
    const octets = this.portalHost.seal(0, link, TYPE.data, new Uint8Array(20));
    const path = this.portalHost.attached.get(`0 ${link}`)?.path ?? null;
    if (octets === null || path === null) return false;
    this.dataGoesTo.push(path);
    this.down(path, octets);
    return true;
  }

  /** Octets that reach the Remote Portal from anywhere. */
  inject(octets: Uint8Array, path: Path): void {
    if (!this.#portalRuns) return;
    const count = this.count(path);
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

  #checkSource(opened: Opened, own: LinkContext, path: Path, octets: number): void {
    const attached = this.portalHost.attached.get(`${own.peer} ${own.link}`);
    if (attached === undefined || attached.path === null) return;
    const settled = this.settled.get(settledAt(own.link, path)) ?? null;
    if ([attached.path, settled].some((known) => known && hex(known) === hex(path))) return;
    this.portal.sourceDiffers(this.nowUs, opened.context, path, octets, settled);
  }

  /** As the client's loop carries out `send`: every socket is open. */
  #upBy(link: number, transport: Transport | null, octets: Uint8Array): void {
    for (const each of transport === null ? this.transports : [transport]) {
      this.up(link, each, octets);
    }
  }

  #nextUs(): TimeUs {
    const portalUs = this.#portalRuns ? this.portal.deadlineUs() : NEVER;
    return Math.min(this.arrivalUs(), portalUs, this.client.deadlineUs());
  }

  #step(): void {
    this.deliver();
    this.client.timeout(this.nowUs);
    this.#drainClient();
    if (!this.#portalRuns) return;
    this.portal.timeout(this.nowUs);
    this.#drainPortal();
  }

  #drainClient(): void {
    for (let effect = this.client.pollEffect(); effect; effect = this.client.pollEffect()) {
      this.clientHost.carryOut(effect);
      if (effect.tag === "send") this.#upBy(effect.link, effect.transport, effect.octets);
      else if (effect.tag === "sendControl") this.sendUp(effect.link, TYPE.control, effect.body);
    }
  }

  #drainPortal(): void {
    for (let effect = this.portal.pollEffect(); effect; effect = this.portal.pollEffect()) {
      this.portalHost.carryOut(effect);
      if (effect.tag === "send") this.down(effect.path, effect.octets);
      else if (effect.tag === "rerouted") this.#reroute(effect.link, effect.before, effect.path);
      else if (effect.tag === "persist") this.record = effect.record;
      else if (effect.tag === "sendControl") {
        this.#sendControl(effect.peer, effect.link, effect.body);
      }
    }
  }

  #reroute(link: number, before: Path, path: Path): void {
    assert.equal(hex(this.settled.get(settledAt(link, path)) ?? assert.fail()), hex(before));
    this.settled.set(settledAt(link, path), path);
  }

  #sendControl(peer: number, link: number, body: Uint8Array): void {
    const octets = this.portalHost.seal(peer, link, TYPE.control, body);
    const path = this.portalHost.attached.get(`${peer} ${link}`)?.path;
    assert.ok(octets !== null && path, "CONTROL goes out on attached links only");
    this.down(path, octets);
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
