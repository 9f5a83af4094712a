/** Every middlebox of the lab on a path, and what the probe is to say of it: words, exit code, text, configuration. */
import type { Word } from "../../src/probe/judgement.ts";
import { both, datagram, lossy, mangle, policer, raw } from "./middleboxes.ts";
import type { Middlebox, WorldOptions } from "./world.ts";

interface Case {
  readonly name: string;
  readonly world: (family: 4 | 6) => Omit<WorldOptions, "seed" | "family">;
  /** Raw up and down, UDP up and down; undefined: not judged here. */
  readonly raw: readonly [Word, Word];
  readonly udp?: readonly [Word, Word];
  readonly exitCode: number;
  readonly says: RegExp;
  readonly config?: readonly string[];
}

export const CASES: readonly Case[] = [
  {
    name: "nothing stands between",
    world: () => ({ middlebox: () => "pass" }),
    raw: ["ok", "ok"],
    udp: ["ok", "ok"],
    exitCode: 0,
    says: /^Raw IP \(protocol 253\) works both ways\.$/,
    config: ['transport = "auto"'],
  },
  {
    name: "raw never passes",
    world: () => ({ middlebox: raw(both, () => "drop") }),
    raw: ["blocked", "blocked"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /UDP works both ways; raw IP .* dies on the way without a word both ways/,
    config: ['transport = "udp"'],
  },
  {
    name: "raw passes up only",
    world: () => ({ middlebox: raw(["down"], () => "drop") }),
    raw: ["ok", "blocked"],
    exitCode: 5,
    says: /works to the portal, UDP from it; raw IP .* without a word from the portal/,
    config: ['transport = "auto"'],
  },
  {
    name: "raw passes down only",
    world: () => ({ middlebox: raw(["up"], () => "drop") }),
    raw: ["blocked", "ok"],
    exitCode: 5,
    says: /^UDP works both ways; .* to the portal, and the portal sends by it only to whom it hears by it\.$/,
    config: ['transport = "udp"'],
  },
  {
    name: "the portal's own machine lets no raw packet leave",
    world: () => ({ middlebox: () => "pass", keptThere: "raw" }),
    raw: ["ok", "blocked"],
    exitCode: 5,
    says: /raw IP \(protocol 253\) does not leave the portal's machine\.$/,
  },
  {
    name: "raw is refused by a router",
    world: (family) => ({
      middlebox: raw(["up"], () => ({ icmp: family === 4 ? [3, 2] : [1, 1] })),
    }),
    raw: ["blocked", "ok"],
    exitCode: 5,
    says: /is refused by (192\.0\.2\.254 \(ICMP 3\/2\)|2001:db8::fe \(ICMP 1\/1\)) to the portal/,
  },
  {
    name: "raw is policed to 1 Mbit/s up",
    world: () => ({ middlebox: policer("up", 125_000) }),
    raw: ["policed", "ok"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /is policed \(\d+ % lost at the highest rate/,
  },
  {
    name: "raw is policed to 1 Mbit/s down",
    world: () => ({ middlebox: policer("down", 125_000) }),
    raw: ["ok", "policed"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /is policed/,
  },
  {
    name: "raw is mangled up",
    world: () => ({ middlebox: raw(["up"], mangle) }),
    raw: ["mangled", "ok"],
    exitCode: 5,
    says: /changed octets \(13\) to the portal/,
  },
  {
    name: "raw is mangled down",
    world: () => ({ middlebox: raw(["down"], mangle) }),
    raw: ["ok", "mangled"],
    exitCode: 5,
    says: /changed octets \(13\) from the portal/,
  },
  {
    name: "large raw packets die",
    world: () => ({ middlebox: raw(both, ({ octets }) => (octets > 1000 ? "drop" : "pass")) }),
    raw: ["size-limited", "size-limited"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /carries 576 octets at most both ways/,
    config: ['transport = "udp"'],
  },
  {
    name: "the path carries 1400 octets by every transport",
    world: () => ({
      middlebox: ({ octets, transport }) =>
        octets > 1400 && datagram(transport) ? "drop" : "pass",
    }),
    raw: ["size-limited", "size-limited"],
    udp: ["size-limited", "size-limited"],
    exitCode: 0,
    says: /carries 1400 octets at most/,
    config: ['transport = "auto"', "mtu = 1400"],
  },
  {
    name: "raw loses 10 %",
    world: () => ({ middlebox: lossy(0.1, ["raw"]) }),
    raw: ["lossy", "lossy"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /loses \d+ %/,
  },
  {
    name: "raw and UDP lose 5 % alike",
    world: () => ({ middlebox: lossy(0.05, ["raw", "udp"]) }),
    raw: ["lossy", "lossy"],
    udp: ["lossy", "lossy"],
    exitCode: 0,
    says: /works both ways; it loses \d+ %/,
  },
  {
    name: "raw is policed up and UDP is blocked",
    world: () => {
      const police = policer("up", 125_000);
      const middlebox: Middlebox = (packet, nowUs, random) =>
        packet.transport === "udp" ? "drop" : police(packet, nowUs, random);
      return { middlebox, attached: "raw" };
    },
    raw: ["policed", "ok"],
    udp: ["blocked", "blocked"],
    exitCode: 0,
    says: /^Raw IP \(protocol 253\) works both ways; it is policed/,
  },
  {
    name: "UDP is blocked",
    world: () => ({
      middlebox: ({ transport }) => (transport === "udp" ? "drop" : "pass"),
      attached: "raw",
    }),
    raw: ["ok", "ok"],
    udp: ["blocked", "blocked"],
    exitCode: 0,
    says: /^Raw IP \(protocol 253\) works both ways\.$/,
  },
  {
    name: "all but TCP is blocked",
    world: () => ({
      middlebox: ({ transport }) => (datagram(transport) ? "drop" : "pass"),
      attached: "tcp",
    }),
    raw: ["blocked", "blocked"],
    udp: ["blocked", "blocked"],
    exitCode: 6,
    says: /^TCP works both ways/,
    config: ['transport = "tcp"'],
  },
  {
    name: "another host behind the translation has the protocol number",
    world: () => ({ middlebox: raw(["up"], () => "drop"), translated: true }),
    raw: ["nat-conflict", "unreachable"],
    udp: ["ok", "ok"],
    exitCode: 5,
    says: /already carries it for another host/,
  },
  {
    name: "the portal wants no raw packets of any number, behind a translation",
    world: (family) => ({
      translated: true,
      middlebox: ({ transport, direction }) =>
        transport === "raw" && direction === "up"
          ? { icmp: family === 4 ? [3, 2] : [4, 1] }
          : "pass",
    }),
    raw: ["blocked", "unreachable"],
    exitCode: 5,
    says: /is refused by/,
  },
  {
    name: "nobody answers",
    world: () => ({ middlebox: () => "drop", attached: null }),
    raw: ["unreachable", "unreachable"],
    exitCode: 7,
    says: /No answer/,
    config: [],
  },
];
