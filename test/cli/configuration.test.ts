/** What a good configuration file says reaches the configuration, completed with the defaults. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { judgeFile } from "../../src/cli/configuration.ts";
import { configOf, KEY, LOCAL, REMOTE } from "./configuration-texts.ts";

test("a short local file is completed with the defaults", () => {
  const config = configOf(LOCAL);
  assert.ok(config.role === "local");
  assert.equal(config.tunnel.name, "mpfwd0");
  assert.equal(config.tunnel.tagOctets, 10);
  assert.equal(config.tunnel.encrypt, false);
  assert.equal(config.tunnel.offload, true);
  assert.equal(config.tunnel.guard, true);
  assert.equal("mtu" in config.tunnel, false);
  assert.deepEqual([config.port, config.protocol], [5253, 253]);
  assert.deepEqual([...config.key], [...Buffer.from(KEY, "base64")]);
  assert.deepEqual([...config.clientId], [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
  assert.deepEqual(config.links, [
    {
      ...{ name: "dsl", remote: "203.0.113.7", transport: "auto" },
      transports: ["raw", "udp", "tcp"],
      ...{ controller: { name: "dtc", compete: true }, dscp: 0, metric: 0, mtu: 1500 },
    },
  ]);
});

test("a remote file listens everywhere and knows its clients", () => {
  const config = configOf(REMOTE);
  assert.ok(config.role === "remote");
  assert.deepEqual([config.listen, config.transports], [[], ["raw", "udp", "tcp"]]);
  assert.deepEqual(
    config.clients.map(({ name, inner }) => [name, ...inner.map(({ text }) => text)]),
    [
      ["one", "10.77.0.2/32"],
      ["two", "10.77.0.3/32", "192.168.2.0/24"],
    ],
  );
});

test("every key of a link reaches the configuration", () => {
  const more = `device = "eth0.7"\nsource = "192.0.2.9"\nremote = "vpn.example.net"\ntransport = "udp"\nmetric = 3\nmtu = 1492\ncontroller = "fixed"\nrate = "2.5mbit"\ndscp = 10\n`;
  const config = configOf(LOCAL + more);
  assert.ok(config.role === "local");
  assert.deepEqual(config.links[0], {
    ...{ name: "dsl", device: "eth0.7", source: "192.0.2.9", remote: "vpn.example.net" },
    ...{ transport: "udp", transports: ["udp"], metric: 3, mtu: 1492, dscp: 10 },
    controller: { name: "fixed", rateBitsPerSecond: 2_500_000 },
  });
});

test("keys last an hour unless the file says less", () => {
  const seconds = (line: string) => {
    const config = configOf(LOCAL.replace("[peer]", `[peer]\n${line}`));
    assert.ok(config.role === "local");
    return config.rekeySeconds;
  };
  assert.equal(seconds(""), 3600);
  assert.equal(seconds("rekey_seconds = 5"), 5);
});

test("what a link may fall back to ends with min_transport", () => {
  const permitted = (more: string) => {
    const config = configOf(LOCAL + more);
    assert.ok(config.role === "local");
    return config.links[0]?.transports;
  };
  assert.deepEqual(permitted('transport = "auto"\nmin_transport = "udp"\n'), ["raw", "udp"]);
  assert.deepEqual(permitted('min_transport = "raw"\n'), ["raw"]);
  assert.deepEqual(permitted('transport = "tcp"\n'), ["tcp"]);
});

test("what [tunnel] says of control and marks holds for links that say nothing else", () => {
  const said = `controller = "cubic"\ndscp = 46\necn = false\nrealtime = "duplicate"\nkeepalive = 25\n\n[peer]`;
  const more = `controller = "dtc"\ndscp = 0\n\n[[link]]\nname = "b"\n`;
  const config = configOf(LOCAL.replace("[peer]", said) + more);
  assert.ok(config.role === "local");
  assert.deepEqual(
    config.links.map(({ controller, dscp }) => [controller, dscp]),
    [
      [{ name: "dtc", compete: true }, 0],
      [{ name: "cubic" }, 46],
    ],
  );
  const { ecn, realtime, controller, keepalive } = config.tunnel;
  assert.deepEqual([ecn, realtime, controller.name], [false, "duplicate", "cubic"]);
  assert.equal(keepalive, 25);
});

for (const name of ["local.toml", "remote.toml", "remote-two-clients.toml"]) {
  test(`the example ${name} is valid once it has keys`, () => {
    const judgement = judgeFile(`docs/examples/${name}`);
    const faults = "faults" in judgement ? judgement.faults : [];
    // The examples name key files that do not exist here; nothing else is wrong with them.
    assert.deepEqual(
      faults.filter(({ what }) => !/no such file/.test(what)),
      [],
    );
  });
}

test("the files in the operator's description are valid", () => {
  const manual = readFileSync("docs/configuration.md", "utf8");
  const blocks = [...manual.matchAll(/```toml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  assert.deepEqual(
    blocks.map((block) => configOf(block).role),
    ["local", "remote"],
  );
});
