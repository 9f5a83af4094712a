/**
 * How many octets the tunnel adds to a packet, seen from outside: pings of known lengths are captured
 * on a link, found by their content, and compared with their length inside.
 */
import { join } from "node:path";
import { MpfwdError } from "../../src/core/errors.ts";
import { ipLength, readCapture } from "../capture.ts";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { ping } from "../load/ping.ts";
import type { TransportChoice } from "../portal-files.ts";
import { Portals } from "../portals.ts";
import type { Figures } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS, type Family } from "../topology/names.ts";

/** Headers of an inner ICMP echo request before its data: IPv4 and ICMP. */
const INNER_HEADERS = 28;
const SIZES = [48, 100, 577, 1_200];
const PINGS = 8;
/** Found again in the capture. */
const PATTERN = "6d70667764206c6162206f6374657473";
const CAPTURE_START_MS = 5_000;

/** From `protocol.md`: outer header, preamble with or without order fields, tag. */
const EXPECTED: Partial<Record<TransportChoice, number>> = { raw: 0, auto: 0, udp: 8 };
const ONE_LINK = { 4: 38, 6: 58 } as const;
const MANY_LINKS = { 4: 43, 6: 63 } as const;

export const octetsAdded: Experiment = {
  name: "octets-added",
  summary: "octets added to a packet, from a capture: one and two links, IPv4 and IPv6",
  demands: ([4, 6] as const).flatMap((family) => [
    [`one_link_v${family}_beyond`, "==", 0],
    [`two_links_v${family}_beyond`, "==", 0],
  ]),
  run: (context) => withLab(context, ["live", "live"], (lab) => measure(lab, context)),
};

async function measure(lab: Lab, context: Context): Promise<Figures> {
  const figures: Record<string, number | null> = {};
  const beyondRaw = EXPECTED[context.transport];
  if (beyondRaw === undefined) {
    throw new MpfwdError("ERR_USAGE", "in a TCP stream no octets belong to a packet");
  }
  for (const family of [4, 6] as const) {
    for (const [name, links, table] of [
      ["one_link", [1], ONE_LINK],
      ["two_links", [1, 2], MANY_LINKS],
    ] as const) {
      context.progress(`${context.transport}, outer IPv${family}, ${links.length} links`);
      const added = await addedOctets(lab, context, family, links);
      const expected = table[family] + beyondRaw;
      figures[`${name}_v${family}`] = added;
      figures[`${name}_v${family}_beyond`] = added === null ? null : added - expected;
    }
  }
  return figures;
}

/** Null when not every packet was seen, or when they do not agree. */
async function addedOctets(
  lab: Lab,
  context: Context,
  family: Family,
  links: readonly number[],
): Promise<number | null> {
  const portals = await Portals.up(lab, { ...carriage(context), family, links });
  const files = links.map((link) => join(lab.stateDirectory, `link${link}.pcap`));
  const captures = await Promise.all(
    links.map(async (link, index) => {
      const write = ["-i", `wan${link}`, "-Q", "out", "-U", "-Z", "root", "-w", files[index] ?? ""];
      const capture = lab.spawn("lp", "tcpdump", ["-n", "--immediate-mode", ...write]);
      await capture.saw("listening on", CAPTURE_START_MS);
      return capture;
    }),
  );
  for (const size of SIZES) {
    const to = ADDRESS.server(4);
    await ping(lab, { from: "client", to, count: PINGS, size, pattern: PATTERN });
  }
  await Promise.all(captures.map((capture) => capture.end()));
  await portals.down();
  const packets = files.flatMap(readCapture);
  const seen = SIZES.flatMap((size) => differences(packets, size));
  return seen.length === SIZES.length * PINGS && new Set(seen).size === 1
    ? (seen[0] ?? null)
    : null;
}

/** Outer less inner length of every captured packet that carries a ping of this size. */
function differences(packets: readonly Buffer[], size: number): number[] {
  const inner = INNER_HEADERS + size;
  const header = Buffer.from([0x45, 0, inner >> 8, inner & 0xff]);
  const pattern = Buffer.from(PATTERN, "hex");
  return packets
    .filter((packet) => {
      const at = packet.indexOf(header);
      return at > 0 && packet.indexOf(pattern, at) > at;
    })
    .map((packet) => ipLength(packet) - inner);
}
