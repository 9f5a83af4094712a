/** Strangers at the Remote Portal's TCP port: whatever they send, however many they are, the portal goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_PORT } from "../src/portal/config.ts";
import { briefContext, withLab } from "./experiment.ts";
import { ping } from "./load/ping.ts";
import { Portals } from "./portals.ts";
import { ADDRESS } from "./topology/names.ts";

/** Opens connections in waves; all of one wave send and close at the same moment. */
const STRANGERS = `
const { connect } = require("node:net");
const [address, port] = process.argv.slice(1);
const wave = () => {
  for (let index = 0; index < 120; index += 1) {
    const socket = connect(Number(port), address);
    socket.on("error", () => {});
    socket.on("connect", () => {
      socket.write(Buffer.alloc(4 + 40 * (index % 50), index));
      if (index % 3 === 0) socket.end();
      if (index % 3 === 1) setTimeout(() => socket.resetAndDestroy(), index);
    });
    setTimeout(() => socket.destroy(), 600);
  }
};
let waves = 0;
const timer = setInterval(() => { wave(); if (++waves === 20) clearInterval(timer); }, 100);
wave();
`;

test("waves of strangers at the TCP port do not end a Remote Portal", () =>
  withLab(briefContext("udp"), [""], async (lab) => {
    const portals = await Portals.up(lab, { transport: "udp" });
    const args = ["-e", STRANGERS, ADDRESS.remote(4), String(DEFAULT_PORT)];
    const finished = await lab.exec("lp", process.execPath, args);
    assert.equal(finished.code, 0, finished.stderr);
    await sleep(200);
    const { answers } = await ping(lab, { from: "client", to: ADDRESS.server(4), count: 10 });
    assert.equal(answers.length, 10, portals.log("remote").slice(-3000));
    await portals.down();
  }));
