/** By which way the kernel would send a link's packets, and why it cannot: asked of a real one. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { isOwnAddress, placeOf, type Way } from "../../src/portal/place.ts";
import { harness } from "../native/harness.ts";
import { addAddress6, inNamespace } from "../native/namespace.ts";

const TUNNEL = "mpfwd0";
const REMOTE = { 4: "203.0.113.7", 6: "2001:db8:7::7" } as const;
const ip = (line: string) => execFileSync("ip", line.split(" "));

/** A cable with both ends in this namespace; `name` gets addresses of network `number`. */
function cable(context: TestContext, name: string, number: number): void {
  ip(`link add ${name} type veth peer name ${name}-peer`);
  context.after(() => ip(`link delete ${name}`));
  ip(`link set ${name} up`);
  ip(`link set ${name}-peer up`);
  ip(`address add 192.0.${number}.2/24 dev ${name}`);
  addAddress6(`2001:db8:${number}::2`, 64, name);
}

function asker(context: TestContext) {
  const { engine } = harness(context);
  return (way: Partial<Way>) => {
    const whole = { device: undefined, source: undefined, remote: REMOTE[4], ...way };
    return placeOf(engine, whole, TUNNEL);
  };
}

const why = (place: ReturnType<typeof placeOf>) =>
  place.tag === "unusable" ? place.why : JSON.stringify(place);

inNamespace(import.meta.filename, () => {
  test("a bound link is usable with its device, address and route, in each family", (context) => {
    const ask = asker(context);
    assert.equal(why(ask({ device: "one" })), "there is no device one");
    cable(context, "one", 2);
    const way4 = { device: "one", remote: REMOTE[4] };
    const way6 = { device: "one", remote: REMOTE[6] };
    assert.equal(why(ask(way4)), `there is no route to ${REMOTE[4]}`);
    assert.equal(why(ask(way6)), `there is no route to ${REMOTE[6]}`);
    ip("route add default via 192.0.2.1 dev one metric 99");
    ip("route add default via 2001:db8:2::1 dev one metric 99");
    const found = ask(way4);
    assert.ok(found.tag === "usable");
    assert.deepEqual([found.via, found.source], ["192.0.2.1", "192.0.2.2"]);
    const found6 = ask(way6);
    assert.ok(found6.tag === "usable" && found6.device === found.device);
    assert.deepEqual([found6.via, found6.source], ["2001:db8:2::1", "2001:db8:2::2"]);

    ip("link set one-peer down");
    assert.equal(why(ask(way4)), "its device one has no carrier");
    ip("link set one-peer up");
    assert.deepEqual(ask(way4), found);
    ip("link set one down");
    assert.equal(why(ask(way6)), "its device one is switched off");
  });

  test("a route without a next hop counts, a neighbour that no route knows does not", (context) => {
    const ask = asker(context);
    cable(context, "one", 2);
    ip("route add default dev one metric 99");
    const found = ask({ device: "one" });
    assert.ok(found.tag === "usable" && found.via === null);
    ip("route delete default dev one");
    assert.equal(ask({ device: "one" }).tag, "unusable");
    assert.equal(ask({ device: "one", remote: "192.0.2.9" }).tag, "usable", "a true neighbour");
  });

  test("an address that is not there (any more) makes what is bound to it unusable", (context) => {
    const ask = asker(context);
    const { engine } = harness(context);
    cable(context, "one", 2);
    ip("route add default via 192.0.2.1 dev one");
    ip("-6 route add default via 2001:db8:2::1 dev one");
    for (const [source, remote] of [
      ["192.0.2.2", REMOTE[4]],
      ["2001:db8:2::2", REMOTE[6]],
    ] as const) {
      assert.equal(ask({ source, remote }).tag, "usable");
      assert.ok(isOwnAddress(engine, source));
      ip(`address delete ${source}/${source.includes(":") ? 64 : 24} dev one`);
      assert.equal(
        why(ask({ source, remote })),
        `this machine does not have the address ${source}`,
      );
      assert.ok(!isOwnAddress(engine, source));
    }
  });

  test("a link without a device goes where the default route leads, but not into the tunnel", (context) => {
    const ask = asker(context);
    cable(context, "one", 2);
    cable(context, "two", 3);
    ip("route add default via 192.0.2.1 dev one metric 1");
    ip("route add default via 192.0.3.1 dev two metric 2");
    const first = ask({});
    assert.ok(first.tag === "usable" && first.source === "192.0.2.2");
    ip("link set one-peer down");
    assert.equal(why(ask({})), "its device one has no carrier");
    ip("link set one down");
    const second = ask({});
    assert.ok(second.tag === "usable" && second.via === "192.0.3.1");
    ip(`tuntap add dev ${TUNNEL} mode tun`);
    context.after(() => ip(`link delete ${TUNNEL}`));
    ip(`link set ${TUNNEL} up`);
    ip(`route add 128.0.0.0/1 dev ${TUNNEL}`);
    const looping = ask({});
    assert.ok(looping.tag === "unusable" && looping.loops);
    assert.equal(ask({ device: "two" }).tag, "usable", "a bound link does not look at that route");
  });

  test("routes that refuse, and names that have no address yet", (context) => {
    const ask = asker(context);
    cable(context, "one", 2);
    for (const kind of ["unreachable", "prohibit", "blackhole"]) {
      ip(`route add ${kind} ${REMOTE[4]}`);
      assert.equal(why(ask({})), `there is no route to ${REMOTE[4]}`, kind);
      ip(`route delete ${kind} ${REMOTE[4]}`);
    }
    assert.equal(ask({ remote: null }).tag, "usable");
    assert.equal(why(ask({ remote: null, device: "none" })), "there is no device none");
  });
});
