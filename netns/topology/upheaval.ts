/**
 * What happens to a link's device, address and translation while it is used: the cable is pulled, the
 * device goes and comes back as another one, its address changes, the provider translates to another
 * address from now on.
 */
import { ipBatchIn, makeWire } from "./build.ts";
import type { Lab } from "./lab.ts";
import { ADDRESS, FAMILIES, type Family } from "./names.ts";
import { ispOf, LINK_TABLE, METRIC, planLab } from "./plan.ts";

/** The Local Portal's device loses its carrier, or has it again; addresses and routes stay. */
export async function plug(lab: Lab, link: number, plugged: boolean): Promise<void> {
  await lab.exec(ispOf(link), "ip", ["link", "set", "lp", plugged ? "up" : "down"]);
}

/** The Local Portal's device is gone, as an unplugged modem is, with its addresses and routes. */
export async function removeDevice(lab: Lab, link: number): Promise<void> {
  await lab.exec("lp", "ip", ["link", "delete", `wan${link}`]);
}

/** The device is there again: another one by the same name. */
export async function makeDevice(lab: Lab, link: number): Promise<void> {
  const [device, isp] = [`wan${link}`, ispOf(link)];
  const plan = planLab(lab.id, lab.links, lab.netem);
  const cable = `name ${device} netns ${lab.namespace("lp")} `;
  await batch(lab, "ip", [], plan.cables, (line) => line.includes(cable));
  await Promise.all([makeWire(lab, "lp", device), makeWire(lab, isp, "lp")]);
  const local = plan.ip.get("lp") ?? [];
  // Rules name addresses, and stay.
  const ofDevice = (line: string) => line.includes(` ${device} `) || line.endsWith(` ${device}`);
  await ipBatchIn(
    lab,
    "lp",
    local.filter((line) => !line.includes("rule add") && ofDevice(line)),
  );
  const behind = FAMILIES.map((family) => `via ${ADDRESS.access(family, link, 2)}`);
  await ipBatchIn(
    lab,
    isp,
    (plan.ip.get(isp) ?? []).filter(
      (line) => / lp( |$)/.test(line) || behind.some((via) => line.endsWith(via)),
    ),
  );
  const where = ["-netns", lab.namespace(isp)];
  await batch(lab, "tc", where, plan.tc.get(isp) ?? [], (line) => line.includes(" dev lp "));
}

async function batch(
  lab: Lab,
  program: "ip" | "tc",
  where: readonly string[],
  lines: readonly string[],
  wanted: (line: string) => boolean,
): Promise<void> {
  const input = lines.filter(wanted).map((line) => `${line}\n`);
  await lab.children.run(program, [...where, "-batch", "-"], { input: input.join("") });
}

/** Host parts of the addresses that a link's device may have: the plan's and another one. */
export const HOSTS = { usual: 2, other: 3 } as const;

/** The Local Portal's device has no address of this family any more. */
export async function takeAddress(lab: Lab, link: number, family: Family): Promise<void> {
  const which = ["dev", `wan${link}`, "scope", "global"];
  await lab.exec("lp", "ip", [`-${family}`, "address", "flush", ...which]);
}

/** The Local Portal's device has this address instead of the one before; null: none of IPv4. */
export async function readdress(lab: Lab, link: number, host: number | null): Promise<void> {
  const network = ADDRESS.access(4, link, 1).replace(/\.1$/, "");
  const gateway = ADDRESS.access(4, link, 1);
  const device = `wan${link}`;
  await takeAddress(lab, link, 4);
  if (host === null) return;
  const back = `route replace ${network}.${host}/32 via ${ADDRESS.transit(4, link, 1)} dev ${device}`;
  await ipBatchIn(lab, "rp", [back]);
  // Routes left with the address.
  await ipBatchIn(lab, "lp", [
    `address add ${network}.${host}/24 dev ${device}`,
    `route replace default via ${gateway} dev ${device} table ${LINK_TABLE + link}`,
    `route replace default via ${gateway} dev ${device} metric ${METRIC.linkDefault + link}`,
  ]);
}

/**
 * The provider of a `nat` link forgets its mappings, and translates to another address and other ports.
 * @returns `Date.now()` when it was told to forget: when it has is not known so exactly
 */
export async function retranslate(lab: Lab, link: number): Promise<number> {
  const isp = ispOf(link);
  const other = ADDRESS.transit(4, link, 1).replace(/\.1$/, ".9");
  await lab.exec(isp, "ip", ["address", "replace", `${other}/24`, "dev", "rp"]);
  const rules = `flush chain inet lab postrouting
table inet lab {
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "rp" meta l4proto { tcp, udp } snat ip to ${other}:20000-29999
    oifname "rp" snat ip to ${other}
  }
}
`;
  await lab.exec(isp, "nft", ["-f", "-"], { input: rules });
  const forgettingMs = Date.now();
  await lab.flushConnections(link);
  return forgettingMs;
}
