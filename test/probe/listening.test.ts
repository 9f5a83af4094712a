/** `mpfwd probe --listen` and those who have no key: it goes on, however many they are. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../../src/portal/config.ts";
import { Listening } from "../../src/prober/listening.ts";
import { inNamespace } from "../native/namespace.ts";

const WAVES = 6;
const WAVE = 120;
const WAVE_MS = 50;

inNamespace(import.meta.filename, () => {
  test("waves of strangers at the TCP port do not end it", async () => {
    const listening = new Listening({
      ...{ clientId: randomBytes(8), key: randomBytes(32), families: [4], say: () => {} },
      ...{ port: DEFAULT_PORT, protocol: DEFAULT_PROTOCOL, otherProtocol: DEFAULT_PROTOCOL + 1 },
    });
    listening.start();
    let connected = 0;
    for (let wave = 0; wave < WAVES; wave += 1) {
      for (let index = 0; index < WAVE; index += 1) {
        const socket = connect(DEFAULT_PORT, "127.0.0.1", () => {
          connected += 1;
          socket.write(Buffer.alloc(4 + index, index));
          if (index % 3 === 0) socket.end();
        });
        socket.on("error", () => {});
        setTimeout(() => socket.destroy(), WAVES * WAVE_MS);
      }
      await sleep(WAVE_MS);
    }
    await sleep(2 * WAVES * WAVE_MS);
    assert.ok(connected > WAVES, `${connected} connected`);
    listening.stop();
  });
});
