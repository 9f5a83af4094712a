/** A ladder without a world: what its peer says is written by hand, and what it sends is collected. */
import assert from "node:assert/strict";
import { SeededRandom } from "../../src/core/random.ts";
import { MS } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport } from "../../src/core/transport.ts";
import { Ladder } from "../../src/ladder/ladder.ts";
import { decodeHello, HELLO_OCTETS, type Hello } from "../../src/wire/hello.ts";
import { controlMessage } from "../wire/control-message.ts";
import { FULL_OCTETS } from "./portal.ts";

export const NOTHING = { highest: 0, bitmap: 0, echo: 0 };

export function ladderOf(
  role: "local" | "remote",
  allowed: readonly Transport[] = TRANSPORTS,
): Ladder {
  return new Ladder({ role, allowed, random: new SeededRandom(1).octets, fullOctets: FULL_OCTETS });
}

export function helloOf(change: Partial<Hello> = {}): Hello {
  return {
    ...{ transport: 0, carries: 255, ask: true, full: false, number: 1, nonce: 7, badTags: 0 },
    seen: [NOTHING, NOTHING, NOTHING],
    octets: HELLO_OCTETS,
    ...change,
  };
}

/** What it sends from now to `untilUs`, driven by its deadlines. */
export function drain(ladder: Ladder, fromUs: number, untilUs: number) {
  const sent: { atUs: number; transport: Transport; hello: Hello }[] = [];
  for (let nowUs = fromUs; nowUs <= untilUs; nowUs = Math.max(ladder.deadlineUs(), nowUs + MS)) {
    for (let out = ladder.poll(nowUs); out !== null; out = ladder.poll(nowUs)) {
      const hello = decodeHello(controlMessage(out.body));
      assert.ok(hello !== "truncated");
      sent.push({ atUs: nowUs, transport: out.transport, hello });
    }
  }
  return sent;
}

/** Takes every switch since the last call. */
export function switchesOf(ladder: Ladder): string[] {
  const texts: string[] = [];
  for (let taken = ladder.takeSwitch(); taken !== null; taken = ladder.takeSwitch()) {
    texts.push(`${taken.from} to ${taken.to}: ${taken.cause}`);
  }
  return texts;
}
