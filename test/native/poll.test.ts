/** One poll: the timer, readiness, exceptions, and the end of an engine and of its thread. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { TIMER_HANDLE } from "../../src/native/native.ts";
import { harness, loopbackPair, pump, sendOctets, slots } from "./harness.ts";
import { inNamespace } from "./namespace.ts";

const NATIVE = fileURLToPath(new URL("../../src/native/native.js", import.meta.url));
const ARENA = fileURLToPath(new URL("../../src/core/arena.js", import.meta.url));

test("the clock goes forward in microseconds", (context) => {
  const { engine } = harness(context);
  let last = engine.nowUs();
  for (let index = 0; index < 1000; index += 1) {
    const now = engine.nowUs();
    assert.ok(now >= last && Number.isInteger(now));
    last = now;
  }
});

test("the timer fires once, not before its deadline", async (context) => {
  const { engine } = harness(context);
  const deadline = engine.nowUs() + 3000;
  let fired = 0;
  engine.setTimer(deadline);
  await pump(
    engine,
    (handle) => {
      assert.equal(handle, TIMER_HANDLE);
      assert.ok(engine.nowUs() >= deadline);
      fired += 1;
      assert.equal(engine.watchNow(), 0, "one-shot");
    },
    () => fired > 0,
  );
  assert.equal(fired, 1);
});

for (const deadline of [0, 1, -5, Number.NEGATIVE_INFINITY]) {
  test(`a deadline in the past, ${deadline}, is due at once`, async (context) => {
    const { engine } = harness(context);
    let fired = false;
    engine.setTimer(deadline);
    await pump(
      engine,
      () => {
        fired = true;
      },
      () => fired,
    );
  });
}

test("a timer that was moved or disarmed does not fire at its old deadline", async (context) => {
  const { engine } = harness(context);
  const start = engine.nowUs();
  let fired = false;
  engine.setTimer(start + 500);
  engine.setTimer(Number.POSITIVE_INFINITY);
  engine.setTimer(start + 1e15);
  engine.setTimer(start + 5000);
  await pump(
    engine,
    () => {
      assert.ok(engine.nowUs() >= start + 5000);
      fired = true;
    },
    () => fired,
  );
});

test("a timer can be set again for the same deadline after it fired", async (context) => {
  const { engine } = harness(context);
  let fired = 0;
  engine.setTimer(1);
  await pump(
    engine,
    () => {
      fired += 1;
      engine.setTimer(1);
    },
    () => fired === 3,
  );
});

/** Runs a script with an engine `e`, its arena `a` and `native`; gives back what it printed. */
function script(body: string): { status: number | null; stdout: string; stderr: string } {
  const source = `
    import { loadNative } from ${JSON.stringify(NATIVE)};
    import { Arena } from ${JSON.stringify(ARENA)};
    const native = loadNative();
    const a = new Arena(64);
    const e = native.createEngine(a.memory, 64);
    const ready = new Int32Array(128);
    ${body}`;
  const args = ["--expose-gc", "--input-type=module", "-e", source];
  return spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000 });
}

function assertPrints(body: string, expected: string): void {
  const run = script(body);
  assert.equal(run.stderr, "");
  assert.equal(run.stdout, expected);
  assert.equal(run.status, 0);
}

test("an engine that watches nothing lets the process end", () => {
  assertPrints("e.setTimer(e.nowUs() + 1e12); console.log('end');", "end\n");
});

test("an engine that watches keeps the process until it is told to stop", () => {
  assertPrints(
    "e.watch(ready, () => { console.log('timer'); e.unwatch(); }); e.setTimer(e.nowUs() + 2000);",
    "timer\n",
  );
});

test("an engine may be destroyed inside its own callback, and twice", () => {
  assertPrints(
    `e.watch(ready, () => { e.destroy(); e.destroy(); gc(); console.log('gone'); });
     e.setTimer(1);`,
    "gone\n",
  );
});

test("promises made in the callback run before the next wake-up", () => {
  assertPrints(
    `let n = 0;
     e.watch(ready, () => {
       n += 1;
       console.log('wake', n);
       Promise.resolve().then(() => console.log('promise'));
       if (n < 2) e.setTimer(1); else e.unwatch();
     });
     e.setTimer(1);`,
    "wake 1\npromise\nwake 2\npromise\n",
  );
});

test("an exception in the callback is an uncaught exception of the process", () => {
  const run = script("e.watch(ready, () => { throw new Error('from onReady'); }); e.setTimer(1);");
  assert.match(run.stderr, /Error: from onReady/);
  assert.equal(run.status, 1);
});

test("after a caught uncaught exception the watch goes on", () => {
  assertPrints(
    `let n = 0;
     process.on('uncaughtException', (error) => console.log(error.message));
     e.watch(ready, () => { n += 1; e.setTimer(1); if (n === 3) e.destroy(); throw new Error('n' + n); });
     e.setTimer(1);`,
    "n1\nn2\nn3\n",
  );
});

test("a ready list that was detached ends the watch with an exception", () => {
  const run = script(
    `e.watch(ready, () => {}); e.setTimer(1);
     structuredClone(ready.buffer, { transfer: [ready.buffer] });`,
  );
  assert.match(run.stderr, /TypeError: watch: the ready list was detached/);
  assert.equal(run.status, 1);
});

test("an engine nobody holds is collected, its descriptors closed", () => {
  assertPrints(
    `import { readdirSync } from "node:fs";
     const open = () => readdirSync('/proc/self/fd').length;
     const before = open();
     for (let i = 0; i < 200; i += 1) {
       native.createEngine(a.memory, 64).openSocket({ kind: 'udp', family: 4 });
       if (i % 20 === 19) { gc(); await new Promise((r) => setImmediate(r)); }
     }
     for (let i = 0; i < 5; i += 1) { gc(); await new Promise((r) => setImmediate(r)); }
     console.log(open() - before < 100);`,
    "true\n",
  );
});

test("a worker may end while its engine watches", () => {
  assertPrints(
    `import { Worker } from "node:worker_threads";
     e.destroy();
     const body = \`
       import { parentPort } from "node:worker_threads";
       Promise.all([import(${JSON.stringify(NATIVE)}), import(${JSON.stringify(ARENA)})]).then(([n, c]) => {
         const arena = new c.Arena(64);
         const engine = n.loadNative().createEngine(arena.memory, 64);
         engine.openSocket({ kind: "udp", family: 4 });
         engine.watch(new Int32Array(128), () => parentPort.postMessage("ready"));
         engine.setTimer(1);
       });\`;
     for (let i = 0; i < 5; i += 1) {
       const worker = new Worker(body, { eval: true });
       await new Promise((resolve) => worker.once("message", resolve));
       await worker.terminate();
     }
     console.log("ended");`,
    "ended\n",
  );
});

inNamespace(import.meta.filename, () => {
  test("many ready sockets come in turns when the list is short", async (context) => {
    const at = harness(context);
    const pairs = Array.from({ length: 100 }, () => loopbackPair(at.engine, "udp", 4));
    for (const { client } of pairs) sendOctets(at, client, new Uint8Array(20).fill(0x90));
    const heard = new Set<number>();
    const batch = slots(at.arena, 1);
    await pump(
      at.engine,
      (handle) => {
        assert.equal(at.engine.receivePlain(handle, batch, 1), 1);
        heard.add(handle);
      },
      () => heard.size === 100,
    );
    assert.deepEqual(heard, new Set(pairs.map(({ server }) => server)));
  });
});
