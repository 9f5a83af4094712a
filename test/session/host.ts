/**
 * What a portal loop does with the effects of its session, on a model of the addon: receive contexts come and go, links
 * are attached and detached, and each order is checked against what stands.
 */
import assert from "node:assert/strict";
import type { Path } from "../../src/core/path.ts";
import type { Transport } from "../../src/core/transport.ts";
import type {
  Attached as AttachedEffect,
  CommonEffect,
  ContextKeys,
  InitiatorEffect,
  ResponderEffect,
} from "../../src/session/effects.ts";
import { createMessage } from "../../src/wire/message.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { AddonModel, hex, type Opened, sealNatively } from "./addon-model.ts";

export interface Attached {
  readonly context: number;
  readonly transmitId: number;
  readonly path: Path | null;
  /** Of a client's link. */
  readonly transport?: Transport;
}

export interface LinkContext {
  readonly peer: number;
  readonly link: number;
  readonly transmit: ContextKeys;
}

/** What both portals do. */
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

  protected common(effect: CommonEffect | AttachedEffect): void {
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

/** The client's, whose addon knows the tokens of resets. What is sent is the world's. */
export class ClientHost extends Host<InitiatorEffect> {
  carryOut(effect: InitiatorEffect): void {
    this.log.push(effect);
    switch (effect.tag) {
      case "send":
      case "sendControl":
      case "refused":
        break;
      case "addReset":
        assert.ok(!this.addon.resets.has(effect.id));
        this.addon.resets.set(effect.id, { token: effect.token, context: effect.context });
        break;
      case "removeReset":
        assert.ok(this.addon.resets.delete(effect.id));
        break;
      default:
        this.common(effect);
    }
  }
}

/** The Remote Portal's, whose addon knows the clients' keys, and whose links move. What is sent or kept is the world's. */
export class PortalHost extends Host<ResponderEffect> {
  carryOut(effect: ResponderEffect): void {
    this.log.push(effect);
    switch (effect.tag) {
      case "send":
      case "sendControl":
      case "rerouted":
      case "contested":
      case "persist":
        break;
      case "addClient":
        this.addon.clients.set(hex(effect.clientId), { key: effect.key, context: effect.context });
        break;
      case "moved":
        this.#move(`${effect.peer} ${effect.link}`, effect.context, effect.path);
        break;
      default:
        this.common(effect);
    }
  }

  #move(key: string, context: number, path: Path): void {
    const before = this.attached.get(key);
    assert.ok(before !== undefined && before.context === context);
    this.attached.set(key, { ...before, path });
  }
}

type AnyEffect = InitiatorEffect | ResponderEffect;

/** All effects of one kind that a host has carried out, the oldest first. */
export function effectsOf<Tag extends AnyEffect["tag"]>(
  host: Host<InitiatorEffect> | Host<ResponderEffect>,
  tag: Tag,
) {
  return (host.log as AnyEffect[]).filter(
    (effect): effect is Extract<AnyEffect, { tag: Tag }> => effect.tag === tag,
  );
}
