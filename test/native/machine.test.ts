/** What the kernel tells of devices and routes: changes heard, questions answered, arguments refused. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { type Prefix, parseAddress } from "../../src/core/prefix.ts";
import { decodeRouteAnswer, encodeRouteQuestion } from "../../src/io/rtnetlink.ts";
import { CHANGE, READY } from "../../src/native/native.ts";
import { harness, pump } from "./harness.ts";
import { inNamespace } from "./namespace.ts";

const ip = (...lines: string[]) =>
  execFileSync("ip", ["-batch", "-"], { input: lines.map((line) => `${line}\n`).join("") });
const address = (text: string) => parseAddress(text) as Prefix;

/** More than a monitor's buffer holds. */
const FLOOD = 5000;

inNamespace(import.meta.filename, () => {
  test("a monitor hears of devices, addresses and routes, and is silent then", async (context) => {
    const { engine } = harness(context);
    const monitor = engine.openMonitor();
    assert.equal(engine.readMonitor(monitor), 0);
    const heard = async (...lines: string[]) => {
      let changes = 0;
      let ready = false;
      ip(...lines);
      await pump(
        engine,
        (handle, events) => {
          assert.deepEqual([handle, events], [monitor, READY.readable]);
          changes |= engine.readMonitor(monitor);
          ready = true;
        },
        () => ready,
      );
      return changes;
    };
    assert.equal(await heard("link add one type veth peer name two"), CHANGE.device);
    const up = await heard(
      "link set two up",
      "link set one up",
      "address add 192.0.2.1/24 dev one",
    );
    assert.equal(up & (CHANGE.device | CHANGE.address), CHANGE.device | CHANGE.address);
    // The kernel may tell of the carrier later, so no kind is asked to be alone.
    for (const line of [
      "route add 203.0.113.0/24 via 192.0.2.9",
      "rule add from 192.0.2.5 lookup 7",
    ]) {
      assert.notEqual((await heard(line)) & CHANGE.route, 0, line);
    }
    assert.notEqual((await heard("link delete one")) & CHANGE.device, 0);
  });

  test("a flood of routes is heard as more than there was room for, once", async (context) => {
    const { engine } = harness(context);
    const monitor = engine.openMonitor();
    ip(
      "link add one type veth peer name two",
      "link set one up",
      "link set two up",
      "address add 192.0.2.1/24 dev one",
    );
    const routes = Array.from({ length: FLOOD }, (_, index) => {
      const network = `10.${index >> 8}.${index & 255}.0/24`;
      return `route add ${network} via 192.0.2.9`;
    });
    ip(...routes);
    let calls = 0;
    let changes = 0;
    for (let some = -1; some !== 0; calls += 1) {
      some = engine.readMonitor(monitor);
      changes |= some;
    }
    assert.equal(changes & (CHANGE.route | CHANGE.missed), CHANGE.route | CHANGE.missed);
    assert.ok(calls <= 1 + Math.ceil(FLOOD / 1024), `${calls} calls`);
    ip("link delete one");
    assert.equal(engine.readMonitor(monitor) & CHANGE.missed, 0, "it hears again what fits");
  });

  test("a device is known by name and by index, with what it can do", (context) => {
    const { engine } = harness(context);
    const lo = engine.device("lo");
    assert.deepEqual(lo, { index: 1, name: "lo", up: true, running: true });
    assert.deepEqual(engine.device(1), lo);
    assert.equal(engine.device("none"), null);
    assert.equal(engine.device(12345), null);
    ip("link add one type veth peer name two", "link set one up");
    const one = engine.device("one");
    assert.deepEqual([one?.up, one?.running], [true, false], "the cable's other end is off");
    ip("link delete one");
  });

  test("a question is answered by the kernel's route, or by its errno", (context) => {
    const { engine } = harness(context);
    const ask = (to: string) =>
      decodeRouteAnswer(engine.askRoute(encodeRouteQuestion({ to: address(to) })));
    const local = ask("127.0.0.1");
    assert.ok(local.tag === "route" && local.local);
    assert.deepEqual(ask("203.0.113.1"), { tag: "refused", errno: 101 });
    assert.deepEqual(ask("2001:db8::1"), { tag: "refused", errno: 101 });
  });

  test("what is no question is refused before it is sent", (context) => {
    const { engine } = harness(context);
    const good = encodeRouteQuestion({ to: address("192.0.2.1") });
    const changed = (at: number, value: number) => {
      const octets = good.slice();
      octets[at] = value;
      return octets;
    };
    // A change in place of a question, a dump, another length.
    for (const bad of [changed(4, 24), changed(7, 3), changed(0, 99), good.subarray(0, 15)]) {
      assert.throws(() => engine.askRoute(bad), TypeError);
    }
    assert.throws(() => engine.askRoute(new Uint8Array(300)), TypeError);
    assert.throws(() => engine.askRoute("" as unknown as Uint8Array), TypeError);
    assert.throws(() => engine.device(0), TypeError);
    assert.throws(() => engine.device("a name that is too long"), TypeError);
    const monitor = engine.openMonitor();
    assert.throws(() => engine.receive(monitor, new Int32Array(1), 0), TypeError);
    assert.throws(() => engine.readMonitor(monitor + 1), TypeError);
    assert.equal(engine.takeErrors(monitor), null);
    engine.close(monitor);
    assert.throws(() => engine.readMonitor(monitor), TypeError);
  });
});
