/** The lab's network as commands, without building it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLink } from "../../netns/link-options.ts";
import { idOfNamespace, namespaceName } from "../../netns/topology/names.ts";
import { planLab } from "../../netns/topology/plan.ts";
import { impairer, shapingLines } from "../../netns/topology/shaping.ts";

test("a rate becomes a token bucket of 1 ms before a queue of 50 ms, each way", () => {
  assert.deepEqual(shapingLines(parseLink("rate=100mbit"), false), [
    "qdisc replace dev rp root tbf rate 100000000bit burst 12500 limit 637500",
    "qdisc replace dev lp root tbf rate 100000000bit burst 12500 limit 637500",
  ]);
});

test("a slow link's bucket still holds two frames, and its queue is as deep as asked for", () => {
  assert.deepEqual(shapingLines(parseLink("rate_up=1mbit,queue=9000"), false), [
    "qdisc replace dev rp root tbf rate 1000000bit burst 3028 limit 12028",
  ]);
});

test("netem takes delay and loss before the rate where the kernel has it", () => {
  const lines = shapingLines(parseLink("rate_up=50mbit,delay=10ms,loss_down=1%"), true);
  assert.deepEqual(lines, [
    "qdisc replace dev rp root handle 1: netem limit 20000 delay 10000us loss 0% duplicate 0%",
    "qdisc add dev rp parent 1:1 handle 2: tbf rate 50000000bit burst 6250 limit 318750",
    "qdisc replace dev lp root handle 1: netem limit 20000 delay 10000us loss 1% duplicate 0%",
  ]);
});

// biome-ignore format: a table reads in columns
const impairers: [options: string, netem: boolean, by: string][] = [
  ["rate=50mbit",            true,  "nobody"],
  ["delay=10ms,loss=1%",     true,  "netem"],
  ["delay=10ms,loss=1%",     false, "emulator"],
  ["delay=10ms,jitter=1ms",  true,  "emulator"],
  ["loss=1%,burst=4",        true,  "emulator"],
  ["lose=3",                 true,  "emulator"],
  ["stop=3",                 true,  "emulator"],
  ["reorder=1%",             true,  "emulator"],
  ["live",                   true,  "emulator"],
];

for (const [options, netem, by] of impairers) {
  test(`${options} ${netem ? "with" : "without"} netem is done by ${by}`, () => {
    assert.equal(impairer(parseLink(options), netem), by);
  });
}

test("every link has a provider of its own and a routing table at the Local Portal", () => {
  const plan = planLab("lab-0a1b2c", [parseLink(""), parseLink("mtu=1400")], false);
  assert.deepEqual(plan.roles, ["client", "lp", "rp", "server", "isp1", "isp2"]);
  const local = plan.ip.get("lp") ?? [];
  assert.ok(local.includes("route add default via 10.100.2.1 dev wan2 table 102"));
  assert.ok(local.includes("rule add from 10.100.2.2 priority 1000 lookup 102"));
  assert.ok(local.includes("-6 rule add from fd10:100:2::2 priority 1000 lookup 102"));
  assert.ok(plan.ip.get("isp2")?.includes("link set rp mtu 1400 up"));
  assert.equal(plan.nft.has("isp1"), false);
});

test("a provider that masquerades behind an emulator tracks connections on one pass only", () => {
  const plan = planLab("lab-0a1b2c", [parseLink("nat"), parseLink("nat,live")], false);
  assert.doesNotMatch(plan.nft.get("isp1") ?? "", /notrack/);
  assert.match(plan.nft.get("isp2") ?? "", /iifname \{ "lp", "lp2", "emu-down" \} notrack/);
});

test("a namespace belongs to the lab and the group in its name, and to no other", () => {
  const name = namespaceName("lab-0a1b2c", "isp3");
  assert.equal(idOfNamespace(name, "lab"), "lab-0a1b2c");
  assert.equal(idOfNamespace(name, "la"), null);
  assert.equal(idOfNamespace("somebody-elses", "lab"), null);
});
