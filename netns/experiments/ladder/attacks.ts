/** What a ladder case does to a path beside filtering: lost mappings, a new path, forged packets. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../../../src/portal/config.ts";
import { HELLO_SUBTYPE } from "../../../src/wire/hello.ts";
import { TYPE } from "../../../src/wire/preamble.ts";
import { readCapture } from "../../capture.ts";
import type { Lab } from "../../topology/lab.ts";
import { ADDRESS, bitsOf, type Family, type Role } from "../../topology/names.ts";
import { type IcmpError, icmpError, ipPacket, udpDatagram } from "../../topology/packets.ts";
import type { Change } from "./case.ts";

/** A router that nobody has: an attacker may name any. */
const ROUTER = { 4: "10.200.1.9", 6: "fd10:200:1::9" } as const;
export const FORGED_MTU = 600;
/** Outer packets of the tunnel that the forged errors quote, newest last. */
const QUOTED_PACKETS = 200;
/** Each error so often, some ms apart. */
const FORGED_ROUNDS = 10;
const CAPTURE_LIMIT_MS = 5_000;
const SPOOFED_SOURCES = 1_000;
/** A portal looks once a second whether connections are tracked. */
const TRACKING_SEEN_MS = 1_500;

/** The provider's translation forgets its mappings while packets flow. */
export function flushMappings(at: number): Change {
  return {
    at,
    what: "the provider forgets its mappings",
    act: async (lab) => {
      await lab.flushConnections(1);
      return undefined;
    },
  };
}

/** The link gets another gateway, the same provider's: a hint that its path is another now. */
export function reroute(at: number): Change {
  return {
    at,
    what: "the link gets another gateway",
    act: async (lab, family) => {
      const gateway = ADDRESS.access(family, 1, 1).replace(/1$/, "3");
      const bits = bitsOf(family);
      await lab.exec(
        "isp1",
        "ip",
        ["address", "add", `${gateway}/${bits}`, "dev", "lp"].concat(family === 6 ? "nodad" : []),
      );
      for (const where of [
        ["table", "101"],
        ["metric", "5001"],
      ]) {
        const route = ["default", "via", gateway, "dev", "wan1", ...where];
        await lab.exec("lp", "ip", [`-${family}`, "route", "replace", ...route]);
      }
      return undefined;
    },
  };
}

/** ICMP errors about real packets of the tunnel, to whoever sent these. */
export function forgeErrors(at: number, errors: readonly IcmpError[]): Change {
  return {
    at,
    what: `forged ICMP: ${errors.map(({ tag }) => tag).join(", ")}`,
    act: async (lab, family) => {
      const quoted = newestByWay(await outerPackets(lab, family));
      const forged = quoted.flatMap((packet) =>
        errors.map((error) => icmpError(error, ROUTER[family], packet)),
      );
      const rounds = Array.from({ length: FORGED_ROUNDS }, () => forged).flat();
      const sent = await lab.forge(1, rounds);
      return { forged: sent, route_mtu_changed: await routesChanged(lab, family) };
    },
  };
}

/**
 * Raw and UDP packets with a thousand sources to the Remote Portal, whose kernel tracks connections. The
 * control is the same with numbers that are not the portal's: it shows that they are tracked.
 */
export function spoofSources(at: number): Change {
  return {
    at,
    what: `${SPOOFED_SOURCES} forged sources, raw and UDP`,
    act: async (lab, family) => {
      await lab.exec("rp", "nft", ["-f", "-"], { input: TRACKING });
      await sleep(TRACKING_SEEN_MS);
      const before = await lab.connections("rp");
      const sent = await lab.forge(1, spoofed(family, DEFAULT_PROTOCOL, DEFAULT_PORT));
      const after = await lab.connections("rp");
      await lab.forge(1, spoofed(family, DEFAULT_PROTOCOL + 1, DEFAULT_PORT + 1));
      const control = (await lab.connections("rp")) - after;
      return { spoofed: sent, conntrack_grown: after - before, conntrack_grown_control: control };
    },
  };
}

/**
 * Somebody at the provider has the client's HELLOs first, sends them on from an address of his own and
 * hands the client what is sent there. What else the client sends passes him by. The address is one that the
 * Remote Portal has a way to.
 */
export function relayHellos(at: number): Change {
  return {
    at,
    what: "every HELLO comes from another address",
    act: async (lab, family) => {
      await lab.exec("isp1", "nft", ["-f", "-"], { input: relay(family) });
      return undefined;
    },
  };
}

/** What he has sent on, and the DATA that he was sent. */
export function countRelayed(at: number): Change {
  return {
    at,
    what: "count",
    act: async (lab) => {
      const { stdout } = await lab.exec("isp1", "nft", ["list", "counters"]);
      const packets = (name: string) =>
        Number(new RegExp(`${name} \\{\\s*packets (\\d+)`).exec(stdout)?.[1] ?? Number.NaN);
      return { relayed: packets("relayed"), diverted: packets("diverted") };
    },
  };
}

/** Stateless: source and destination are rewritten as packets pass. */
function relay(family: Family): string {
  const ip = family === 4 ? "ip" : "ip6";
  const [local, evil] = [ADDRESS.access(family, 1, 2), ADDRESS.neighbour(family, 1, 2)];
  // The message follows the UDP header, or is all that a raw packet carries; its body follows the preamble. In
  // bits from the IP header: nft cannot list a field behind a protocol that it does not know.
  const header = family === 4 ? 160 : 320;
  const ways = [
    { is: `meta l4proto ${DEFAULT_PROTOCOL}`, at: header },
    { is: `udp dport ${DEFAULT_PORT}`, at: header + 64 },
    { is: `udp sport ${DEFAULT_PORT}`, at: header + 64 },
  ];
  const hellos = ways.map(
    ({ is, at }) =>
      `${ip} saddr ${local} ${is} @nh,${at},4 ${TYPE.control} @nh,${at + 64},8 ${HELLO_SUBTYPE} counter name relayed ${ip} saddr set ${evil}`,
  );
  const data = ways.map(
    ({ is, at }) => `${ip} daddr ${evil} ${is} @nh,${at},4 ${TYPE.data} counter name diverted`,
  );
  return `table inet relay {
  counter relayed { }
  counter diverted { }
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    ${[...hellos, ...data].join("\n    ")}
    ${ip} daddr ${evil} ${ip} daddr set ${local}
  }
}
`;
}

/** Makes the kernel track connections, as any firewall with state does. */
const TRACKING = `table inet tracking {
  chain input {
    type filter hook input priority filter
    ct state new counter
  }
}
`;

function spoofed(family: Family, protocol: number, port: number): Buffer[] {
  const to = ADDRESS.remote(family);
  return Array.from({ length: SPOOFED_SOURCES }, (_, index) => {
    const from =
      family === 4
        ? `198.18.${index >> 8}.${index & 255}`
        : `2001:db8::${(index + 1).toString(16)}`;
    const message = randomBytes(64);
    const raw = ipPacket({ from, to, protocol }, message);
    // Without a checksum, which UDP over IPv6 does not allow: raw alone there.
    return family === 4
      ? [raw, ipPacket({ from, to, protocol: 17 }, udpDatagram(port, port, message))]
      : [raw];
  }).flat();
}

/** The next ones of the tunnel on link 1. */
export async function outerPackets(lab: Lab, family: Family): Promise<readonly Buffer[]> {
  const file = join(lab.stateDirectory, "quoted.pcap");
  const take = ["-i", "lp", `-c${QUOTED_PACKETS}`, "-U", "-Z", "root", "-w", file];
  const filter = `host ${ADDRESS.remote(family)}`;
  await lab.exec("isp1", "tcpdump", ["-n", "--immediate-mode", ...take, filter], {
    limitMs: CAPTURE_LIMIT_MS,
  });
  return readCapture(file);
}

/** The newest packet of each protocol and direction. */
function newestByWay(packets: readonly Buffer[]): readonly Buffer[] {
  const found = new Map<string, Buffer>();
  for (const packet of packets) {
    const isV6 = packet.readUInt8(0) >> 4 === 6;
    const protocol = packet.readUInt8(isV6 ? 6 : 9);
    const addresses = isV6 ? packet.subarray(8, 40) : packet.subarray(12, 20);
    found.set(`${protocol} ${addresses.toString("hex")}`, packet);
  }
  return [...found.values()];
}

/** How many of both portals' routes to each other have an MTU of their own now. */
async function routesChanged(lab: Lab, family: Family): Promise<number> {
  const [local, remote] = [ADDRESS.access(family, 1, 2), ADDRESS.remote(family)];
  const ways: [Role, string, string][] = [
    ["lp", remote, local],
    ["rp", local, remote],
  ];
  const found = await Promise.all(
    ways.map(async ([role, to, from]) => {
      const { stdout } = await lab.exec(role, "ip", ["route", "get", to, "from", from]);
      return /\bmtu (?!lock)\d/.test(stdout) ? 1 : 0;
    }),
  );
  return found.reduce<number>((sum, one) => sum + one, 0);
}
