/**
 * `mpfwd up` against a real kernel: what it changes on a machine, that it takes everything back,
 * whatever ended it, and what it refuses. Each machine is a network namespace of this run.
 */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { askStatus } from "../src/control/client.ts";
import { MAIN, Machines, OUTSIDE, OWN } from "./machine.ts";

const REMOTE = "203.0.113.7";
const LIMIT_MS = 10_000;

const machines = new Machines();
const { children, directory } = machines;

after(() => machines.end());

function config(name: string, tunnel = "", links = '[[link]]\nname = "a"\n'): string {
  return machines.file(
    name,
    `role = "local"
[tunnel]
name = "tun9"
addresses = ["10.77.0.2/24", "fd77::2/64"]
${tunnel}
[peer]
address = "${REMOTE}"
client_id = "0011223344556677"
key = "q1dO2Jg5ZJ4pXoGm0W2m1oW7X5d1m8kQeJ3S0c1nN2s="
${links}`,
  );
}

const EVERYTHING = config("everything", 'mtu = 1400\nroutes = ["0.0.0.0/0", "fd88::/64"]');

test("up sets address, MTU and routes, keeps outer packets outside, and undoes it all", async () => {
  const machine = await machines.make();
  const before = await machine.shown();
  const portal = await machine.up(EVERYTHING);

  const device = await machine.ip("address", "show", "dev", "tun9");
  assert.match(device, /mtu 1400/);
  assert.match(device, /inet 10\.77\.0\.2\/24/);
  assert.match(device, /inet6 fd77::2\/64/);
  assert.doesNotMatch(device, /fe80::/, "no router solicitations into the tunnel");
  assert.match(await machine.ip("route", "get", "198.51.100.1"), /dev tun9/);
  assert.match(await machine.ip("route", "get", "fd88::1"), /dev tun9/);
  assert.match(await machine.ip("route", "get", REMOTE), /via 192\.0\.2\.1 dev wan/);
  assert.match(
    await machine.ip("route", "show", "proto", "153"),
    /203\.0\.113\.7 via 192\.0\.2\.1/,
  );

  const status = await askStatus(machine.state, "tun9");
  assert.deepEqual([status.name, status.role, status.mtu], ["tun9", "local", 1400]);
  portal.signal("SIGTERM");
  const { code, stderr } = await portal.done;
  assert.equal(code, 0, stderr);
  assert.equal(await machine.shown(), before);
});

test("a request to stop that is delivered twice is still one request", async () => {
  const machine = await machines.make();
  const before = await machine.shown();
  const portal = await machine.up(EVERYTHING);
  portal.signal("SIGINT");
  portal.signal("SIGTERM");
  assert.equal((await portal.done).code, 0);
  assert.equal(await machine.shown(), before);
});

test("what is printed by a dry run is what happens", async () => {
  const machine = await machines.make();
  const dry = machine.spawn(process.execPath, MAIN, "up", "--dry-run", EVERYTHING);
  const { code, stdout } = await dry.done;
  assert.equal(code, 0, dry.stderr);
  assert.match(
    stdout,
    /^ip route add 203\.0\.113\.7\/32 via 192\.0\.2\.1 dev wan metric 1 proto 153$/m,
  );
  const [, guard = "", doing = "", undoing = ""] = stdout.split(/^#.*$/m);
  const batch = (text: string) => text.replace(/^ip /gm, "").replace(/^nft .*\n/gm, "");

  const portal = await machine.up(EVERYTHING);
  const made = await machine.shown();
  await portal.end();
  const before = await machine.shown();
  // A device made by hand has no carrier, which the table of addresses shows.
  await machine.nft(guard, "-f", "-");
  await machine.ip("tuntap", "add", "dev", "tun9", "mode", "tun");
  await children.run("ip", ["-n", machine.name, "-batch", "-"], { input: batch(doing) });
  const routes = (shown: string) =>
    shown
      .split("--\n")
      .slice(1)
      .join("")
      .replace(/ linkdown/g, "")
      .replace(/ +$/gm, "");
  assert.equal(routes(await machine.shown()), routes(made));
  await children.run("ip", ["-n", machine.name, "-batch", "-"], { input: batch(undoing) });
  await machine.nft("", ...(/^nft (.*)$/m.exec(undoing)?.[1] ?? "").split(" "));
  await machine.ip("link", "delete", "tun9");
  assert.equal(await machine.shown(), before);
});

for (const record of ["with its record", "without a record"]) {
  test(`what a killed portal left is removed at the next start, ${record}`, async () => {
    const machine = await machines.make();
    const before = await machine.shown();
    const killed = await machine.up(EVERYTHING);
    killed.signal("SIGKILL");
    await killed.done;
    const left = await machine.ip("route", "show", "proto", "153");
    assert.match(left, /203\.0\.113\.7/, "or this test shows nothing");
    if (record === "without a record") rmSync(join(machine.state, "tun9", "changes.json"));
    const bare = config("bare");
    const portal = await machine.up(bare);
    assert.equal(await machine.ip("route", "show", "proto", "153"), "");
    await portal.end();
    assert.equal((await portal.done).code, 0);
    assert.match(portal.stderr, /removed 1 addresses and routes that a killed run left/);
    assert.equal(await machine.shown(), before);
  });
}

test("two devices to one address keep their own way each", async () => {
  const machine = await machines.make();
  await machine.ip("link", "add", "wan2", "type", "veth", "peer", "name", "isp2");
  for (const device of ["wan2", "isp2"]) await machine.ip("link", "set", device, "up");
  await machine.ip("address", "add", "198.51.100.2/24", "dev", "wan2");
  await machine.ip("route", "add", "default", "via", "198.51.100.1", "metric", "200");
  const before = await machine.shown();
  const links = '[[link]]\nname = "a"\ndevice = "wan"\n[[link]]\nname = "b"\ndevice = "wan2"\n';
  const portal = await machine.up(config("two", 'routes = ["0.0.0.0/0"]', links));
  const first = await machine.ip("route", "get", REMOTE, "oif", "wan");
  const second = await machine.ip("route", "get", REMOTE, "oif", "wan2");
  assert.match(first, /via 192\.0\.2\.1 dev wan /);
  assert.match(second, /via 198\.51\.100\.1 dev wan2 /);
  await portal.end();
  assert.equal(await machine.shown(), before);
});

test("a change that the kernel refuses is named, and everything before it is undone", async () => {
  const machine = await machines.make();
  await machine.ip("route", "add", "10.0.0.0/8", "via", "192.0.2.9");
  const before = await machine.shown();
  const file = config("refused", `routes = ["203.0.113.0/24", "10.0.0.0/8"]`);
  const { code, stderr } = await machine.start(file).done;
  assert.equal(code, 1);
  assert.match(stderr, /mpfwd: ip route add 10\.0\.0\.0\/8 dev tun9 proto 153: .*File exists/);
  assert.equal(await machine.shown(), before);
});

test("a portal sends nothing into its own tunnel, and finds the way past it as that changes", async () => {
  const machine = await machines.make();
  await machine.ip("route", "delete", "default");
  const before = await machine.shown();
  const portal = await machine.up(EVERYTHING);
  assert.match(portal.stderr, /link a: there is no route to 203\.0\.113\.7; it is waited for/);
  assert.match(await machine.ip("route", "get", REMOTE), /dev tun9/, "or this shows nothing");
  const leads = async (via: RegExp, why: string) => {
    const limit = performance.now() + LIMIT_MS;
    while (!via.test(await machine.ip("route", "get", REMOTE))) {
      assert.ok(performance.now() < limit, why);
      await sleep(20);
    }
  };
  await machine.ip("route", "add", "default", "via", OUTSIDE[4]);
  await leads(/via 192\.0\.2\.1 dev wan/, "a default route");
  await portal.saw("link a: its device, address and route are there", LIMIT_MS);
  await machine.ip("route", "replace", "default", "via", "192.0.2.9");
  await leads(/via 192\.0\.2\.9 dev wan/, "another gateway");
  await machine.ip("link", "set", "wan", "down");
  await leads(/dev tun9/, "no way but the tunnel");
  await machine.ip("link", "set", "wan", "up");
  await machine.ip("route", "add", "default", "via", OUTSIDE[4]);
  await leads(/via 192\.0\.2\.1 dev wan/, "the same way again");

  const counted = await machine.ip("-json", "-s", "link", "show", "tun9");
  // What leaves in the moment before the kernel has told of the change enters it, and goes nowhere.
  assert.ok(JSON.parse(counted)[0].stats64.tx.packets < 5, "nothing enters the tunnel");
  await portal.end();
  await machine.ip("route", "delete", "default");
  await machine.ip("address", "add", `${OWN[6]}/64`, "dev", "wan", "nodad");
  await machine.ip("route", "add", "default", "via", OUTSIDE[6]);
  assert.equal(await machine.shown(), before);
});

test("one name runs once in a namespace, whatever the state directory", async () => {
  const machine = await machines.make();
  const portal = await machine.up(EVERYTHING);
  const again = await machine.start(EVERYTHING, join(directory, "elsewhere")).done;
  assert.equal(again.code, 1);
  const { pid } = await askStatus(machine.state, "tun9");
  assert.match(again.stderr, new RegExp(`tun9 is in use by a running portal, pid ${pid}`));

  const other = await machines.make();
  const sameDirectory = await other.start(EVERYTHING, machine.state).done;
  assert.equal(sameDirectory.code, 1);
  assert.match(sameDirectory.stderr, new RegExp(`in use by a running portal, pid ${pid}`));
  const elsewhere = await other.up(EVERYTHING);
  assert.notEqual((await askStatus(other.state, "tun9")).pid, pid);
  assert.equal((await askStatus(machine.state, "tun9")).pid, pid, "the first one goes on");
  await Promise.all([elsewhere.end(), portal.end()]);
});

test("a portal whose device is deleted says so, undoes the rest and exits with 1", async () => {
  const machine = await machines.make();
  const before = await machine.shown();
  const portal = await machine.up(EVERYTHING);
  await machine.ip("link", "delete", "tun9");
  const { code, stderr } = await portal.done;
  assert.equal(code, 1);
  assert.match(stderr, /the TUN device tun9 was deleted; start the portal again/);
  assert.equal(await machine.shown(), before);
});

test("a device that somebody else made is left alone", async () => {
  const machine = await machines.make();
  await machine.ip("tuntap", "add", "dev", "tun9", "mode", "tun");
  const before = await machine.shown();
  const { code, stderr } = await machine.start(EVERYTHING).done;
  assert.equal(code, 1);
  assert.match(stderr, /a device named tun9 exists already; .*ip link delete tun9/);
  assert.equal(await machine.shown(), before);
});

// biome-ignore format: a table reads in columns
const unprivileged: [name: string, wrap: string[], said: RegExp][] = [
  ["CAP_NET_ADMIN", ["setpriv", "--bounding-set=-net_admin"], /missing CAP_NET_ADMIN; run as root/],
  ["CAP_NET_RAW",   ["setpriv", "--bounding-set=-net_raw"],   /missing CAP_NET_RAW; run as root/],
  ["/dev/net/tun",
    ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"],
    /cannot open \/dev\/net\/tun \(ENOENT\); load it with: modprobe tun/],
];
for (const [name, wrap, said] of unprivileged) {
  test(`without ${name}, up names it, exits with 4 and changes nothing`, async () => {
    const machine = await machines.make();
    const before = await machine.shown();
    const portal = machine.spawn(
      ...[...wrap, process.execPath, MAIN, "up", EVERYTHING, "--state-directory", machine.state],
    );
    const { code, stderr } = await portal.done;
    assert.match(stderr, said);
    assert.equal(code, 4);
    assert.equal(await machine.shown(), before);
  });
}

test("a small MTU, which takes IPv6 off the device, is set", async () => {
  const machine = await machines.make();
  const small = config("small", "mtu = 576");
  writeFileSync(small, readFileSync(small, "utf8").replace(', "fd77::2/64"', ""));
  const portal = await machine.up(small);
  assert.match(await machine.ip("link", "show", "tun9"), /mtu 576/);
  await portal.end();
  assert.equal((await portal.done).code, 0);
});

test("a portal with UDP links alone does not ask for CAP_NET_RAW", async () => {
  const machine = await machines.make();
  const file = config("udp", "", '[[link]]\nname = "a"\ntransport = "udp"\n');
  const portal = machine.spawn(
    ...["setpriv", "--bounding-set=-net_raw"],
    ...[process.execPath, MAIN, "up", file, "--state-directory", machine.state],
  );
  await machine.ready(portal);
  await portal.end();
  assert.equal((await portal.done).code, 0);
});
