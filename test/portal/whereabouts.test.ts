/** When links are looked at, and what is told of them: a kernel that tells all, too much, or nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Log } from "../../src/core/log.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { CHANGE, type Device } from "../../src/native/native.ts";
import { Whereabouts } from "../../src/portal/whereabouts.ts";
import { linkSockets } from "./links.ts";

const MONITOR = 7;
const ONE: Device = { index: 3, name: "one", up: true, running: true };

/** One link on the device "one" of a kernel that is made up. */
function scene(tells = true) {
  const said: string[] = [];
  const kernel = { device: ONE as Device | null, pending: 0, interest: 1, silent: false };
  const log: Log = { info() {}, warn: (text) => said.push(text), error() {} };
  const whereabouts = new Whereabouts({
    engine: {
      openMonitor: () => {
        if (tells) return MONITOR;
        throw new Error("EPROTONOSUPPORT");
      },
      readMonitor: () => {
        const { pending } = kernel;
        kernel.pending = 0;
        return pending;
      },
      setInterest: (_handle, events) => {
        kernel.interest = events;
      },
      device: () => {
        if (kernel.silent) throw new Error("ENOBUFS");
        return kernel.device;
      },
      askRoute: () => assert.fail("its remote address is not known"),
    },
    ...{ tunnel: "mpfwd0", links: [linkSockets(0, { device: "one" })], log },
    onChange: () => said.push("change"),
    gone: (nowUs) => said.push(`gone ${nowUs / MS}`),
    back: (nowUs) => said.push(`back ${nowUs / MS}`),
    moved: (nowUs) => said.push(`moved ${nowUs / MS}`),
  });
  const tell = (nowUs: number, device: Device | null) => {
    kernel.device = device;
    kernel.pending = CHANGE.device;
    if (kernel.interest !== 0) assert.ok(whereabouts.serve(nowUs, MONITOR));
  };
  /** Until `untilUs`, tick by tick. */
  const run = (fromUs: number, untilUs: number) => {
    for (let nowUs = fromUs; nowUs < untilUs; nowUs += MS) whereabouts.tick(nowUs);
  };
  return { whereabouts, kernel, said, tell, run };
}

test("what the kernel tells is looked at 1 ms later, and told once", () => {
  const { whereabouts, said, tell, run } = scene();
  whereabouts.open(0);
  tell(100 * MS, null);
  assert.equal(whereabouts.deadlineUs(), 101 * MS);
  run(100 * MS, 200 * MS);
  tell(200 * MS, ONE);
  run(200 * MS, 300 * MS);
  tell(300 * MS, { ...ONE, index: 4 });
  run(300 * MS, 400 * MS);
  const each = said.filter((text) => text !== "change");
  assert.deepEqual(each, ["gone 101", "back 201", "moved 301"]);
  assert.equal(whereabouts.serve(0, MONITOR + 1), false, "another's descriptor");
});

test("a look that the kernel does not answer changes nothing, whatever was known", () => {
  const { whereabouts, kernel, said, tell, run } = scene();
  whereabouts.open(0);
  for (const [fromMs, device] of [
    [100, ONE],
    [200, null],
  ] as const) {
    kernel.silent = true;
    tell(fromMs * MS, device);
    run(fromMs * MS, (fromMs + 50) * MS);
    kernel.silent = false;
    tell((fromMs + 50) * MS, device);
    run((fromMs + 50) * MS, (fromMs + 100) * MS);
  }
  kernel.silent = true;
  run(6 * SECOND, 7 * SECOND);
  const told = said.filter((text) => text !== "change");
  assert.deepEqual(told, ["devices and routes cannot be looked at (ENOBUFS)", "gone 251"]);
});

test("a thousand changes a second cost a hundred looks, and wake nobody between them", () => {
  const { whereabouts, kernel, tell } = scene();
  whereabouts.open(0);
  let wakes = 0;
  for (let nowUs = 0; nowUs < SECOND; nowUs += MS / 10) {
    wakes += kernel.interest;
    tell(nowUs, ONE);
    whereabouts.tick(nowUs);
  }
  assert.ok(whereabouts.looks <= 101 && whereabouts.looks >= 90, `${whereabouts.looks} looks`);
  assert.ok(wakes <= 102, `${wakes} wakes`);
});

test("a way that changes all the time is told as two moves, then seldom, and the last one when it has stopped", () => {
  const { whereabouts, said, tell, run } = scene();
  whereabouts.open(0);
  for (let at = 0; at < 150; at += 1) {
    tell(at * 20 * MS, { ...ONE, index: 4 + at });
    run(at * 20 * MS, (at + 1) * 20 * MS);
  }
  const told = () => said.filter((text) => text !== "change");
  assert.ok(told().length >= 3 && told().length <= 9, `${told()}`);
  assert.deepEqual(told().slice(0, 2), ["moved 10", "moved 21"]);
  tell(3 * SECOND, { ...ONE, index: 999 });
  run(3 * SECOND, 9 * SECOND);
  const before = told().length;
  run(9 * SECOND, 20 * SECOND);
  assert.equal(told().length, before, "nothing is left to be told");
  tell(120 * SECOND, ONE);
  run(120 * SECOND, 121 * SECOND);
  assert.equal(told().at(-1), "moved 120000", "and is forgotten");
});

test("without any news there is a look every 5 s, every second where the kernel tells nothing", () => {
  for (const [tells, everyMs] of [
    [true, 5_000],
    [false, 1_000],
  ] as const) {
    const { whereabouts, kernel, said, run } = scene(tells);
    whereabouts.open(0);
    kernel.device = null;
    run(0, 6 * SECOND);
    assert.ok(said.includes(`gone ${everyMs}`), `${said}`);
    assert.equal(said.includes("change"), false, "nothing is known to have changed");
  }
});

test("a carrier that flaps ten times a second is told as two losses, and back when it has stopped", () => {
  const { whereabouts, said, tell, run } = scene();
  whereabouts.open(0);
  for (let nowUs = 0; nowUs < 3 * SECOND; nowUs += 100 * MS) {
    tell(nowUs, { ...ONE, running: false });
    run(nowUs, nowUs + 50 * MS);
    tell(nowUs + 50 * MS, ONE);
    run(nowUs + 50 * MS, nowUs + 100 * MS);
  }
  const told = () => said.filter((text) => text !== "change").map((text) => text.slice(0, 4));
  assert.deepEqual(told(), ["gone", "back", "gone", "back", "gone"]);
  run(3 * SECOND, 9 * SECOND);
  assert.deepEqual(told().slice(5), ["back"]);
});

test("a kernel that answers nothing is said once, and links are used all the same", () => {
  const said: string[] = [];
  const refuse = () => {
    throw new Error("EPERM");
  };
  const link = linkSockets(0, { device: "one" });
  const whereabouts = new Whereabouts({
    engine: {
      openMonitor: refuse,
      readMonitor: () => 0,
      setInterest() {},
      device: refuse,
      askRoute: refuse,
    },
    ...{
      tunnel: "mpfwd0",
      links: [link],
      log: { info() {}, warn: (text) => said.push(text), error() {} },
    },
    ...{
      onChange() {},
      gone: () => assert.fail(),
      back: () => assert.fail(),
      moved: () => assert.fail(),
    },
  });
  whereabouts.open(0);
  for (let nowUs = 0; nowUs < 10 * SECOND; nowUs += SECOND) whereabouts.tick(nowUs);
  assert.equal(link.place.tag, "usable");
  assert.equal(said.length, 2);
});
