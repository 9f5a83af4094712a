/**
 * The cases of the ladder. A change comes three seconds after the flows have started: by then slow start
 * is over. The Remote Portal sends raw only to whom it heard by raw, so a path that drops raw on the way
 * up carries both directions by UDP.
 */
import {
  countRelayed,
  FORGED_MTU,
  flushMappings,
  forgeErrors,
  relayHellos,
  reroute,
  spoofSources,
} from "./attacks.ts";
import { box, carriedBy, type LadderCase } from "./case.ts";

const CHANGE = 3;
/** A second change. */
const RETURN = 5;
/** After the first back-off of 30 s. */
const RETRIED = 45;

const RAW = carriedBy("raw");
const UDP = carriedBy("udp");
const TCP = carriedBy("tcp");
const ANY = carriedBy(null);

/** Both streams' packets of which a saturated link may cost some: 18 of 3600. */
const LOST_SHARE = 0.005;
/** Where nothing happens that the ladder should heed. */
const CALM = [
  ["lost_share", "<=", LOST_SHARE],
  ["carrier_changes", "<=", 0],
] as const;

export const LADDER_CASES: readonly LadderCase[] = [
  {
    name: "raw-never",
    summary: "raw passes neither way from the beginning",
    ...{ box: "drop=raw", changes: [], start: UDP, end: UDP },
    demands: CALM,
  },
  {
    name: "raw-up-only",
    summary: "raw passes up and not down",
    ...{ box: "drop_down=raw", changes: [], start: carriedBy("raw", "udp") },
    end: carriedBy("raw", "udp"),
  },
  {
    name: "raw-down-only",
    summary: "raw passes down and not up",
    ...{ box: "drop_up=raw", changes: [], start: UDP, end: UDP },
  },
  {
    name: "raw-dies",
    summary: "raw stops passing in mid-flow",
    ...{ changes: [box(CHANGE, "drop=raw")], start: RAW, end: UDP },
  },
  {
    name: "raw-dies-up",
    summary: "raw stops passing up",
    ...{ changes: [box(CHANGE, "drop_up=raw")], start: RAW, end: carriedBy("udp", null) },
  },
  {
    name: "raw-dies-down",
    summary: "raw stops passing down",
    ...{ changes: [box(CHANGE, "drop_down=raw")], start: RAW, end: carriedBy("raw", "udp") },
  },
  {
    name: "raw-returns",
    summary: "raw stops passing and comes back; it is tried again after the back-off",
    ...{ changes: [box(CHANGE, "drop=raw"), box(RETURN, "none")], start: RAW, end: RAW },
    seconds: RETRIED,
  },
  {
    name: "raw-returns-elsewhere",
    summary: "raw stops passing; another path has it again, and it is tried at once",
    changes: [box(CHANGE, "drop=raw"), box(RETURN, "none"), reroute(RETURN)],
    ...{ start: RAW, end: RAW, seconds: 14 },
  },
  {
    name: "policed",
    summary: "raw is policed to 1 Mbit/s, UDP is not",
    ...{ changes: [box(CHANGE, "police=raw@1mbit")], start: RAW, end: UDP, seconds: 12 },
    demands: [["rate_kept", ">=", 0.7]],
  },
  {
    name: "mangled",
    summary: "raw packets are altered",
    ...{ changes: [box(CHANGE, "mangle=raw")], start: RAW, end: UDP },
  },
  {
    name: "mangled-up",
    summary: "raw packets are altered on the way up",
    ...{ changes: [box(CHANGE, "mangle_up=raw")], start: RAW, end: carriedBy("udp", null) },
  },
  {
    name: "large-die",
    summary: "raw packets of more than 1000 octets stop passing",
    ...{ changes: [box(CHANGE, "longer=raw@1000")], start: RAW, end: UDP },
  },
  {
    name: "large-never",
    summary: "raw packets of more than 1000 octets never pass",
    ...{ box: "longer=raw@1000", changes: [], start: UDP, end: UDP },
    demands: CALM,
  },
  {
    name: "icmp-filtered",
    summary: "no ICMP passes, and raw stops passing",
    ...{ box: "drop=icmp", changes: [box(CHANGE, "drop=icmp,drop=raw")], start: RAW, end: UDP },
  },
  {
    name: "icmp-rejected",
    summary: "raw stops passing and the provider says so",
    ...{ changes: [box(CHANGE, "reject=raw")], start: RAW, end: UDP },
  },
  {
    name: "udp-blocked",
    summary: "UDP never passes: raw and TCP are left",
    ...{ box: "drop=udp", changes: [], start: RAW, end: RAW },
    demands: CALM,
  },
  {
    name: "udp-blocked-raw-dies",
    summary: "UDP never passes, raw stops passing",
    ...{ box: "drop=udp", changes: [box(CHANGE, "drop=udp,drop=raw")], start: RAW, end: TCP },
  },
  {
    name: "tcp-443-only",
    summary: "nothing but TCP to port 443 passes",
    ...{ box: "only=443", port: 443, changes: [], start: TCP, end: TCP },
    demands: CALM,
  },
  {
    name: "tcp-443-remains",
    summary: "all but TCP to port 443 stops passing",
    ...{ port: 443, changes: [box(CHANGE, "only=443")], start: RAW, end: TCP },
  },
  {
    name: "nat",
    summary: "the client is behind a NAT, and raw stops passing",
    ...{ link: "nat", changes: [box(CHANGE, "drop=raw")], start: RAW, end: UDP },
  },
  {
    name: "two-clients-one-nat",
    summary: "two clients behind one NAT to one Remote Portal",
    ...{ link: "nat,neighbour", changes: [], start: ANY, end: ANY },
  },
  {
    name: "two-clients-flushed",
    summary: "two clients behind one NAT, which forgets its mappings",
    ...{ link: "nat,neighbour", changes: [flushMappings(CHANGE)], start: ANY, end: ANY },
  },
  {
    name: "nat-flushed",
    summary: "a NAT forgets its mappings while the downstream is busy",
    ...{ link: "nat", changes: [flushMappings(CHANGE)], start: RAW, end: ANY },
  },
  {
    name: "forged-fragmentation-needed",
    summary: `forged ICMP: fragmentation needed, MTU ${FORGED_MTU}`,
    changes: [forgeErrors(CHANGE, [{ tag: "too big", mtu: FORGED_MTU }])],
    ...{ start: RAW, end: RAW },
    demands: [...CALM, ["route_mtu_changed", "<=", 0], ["forged", ">=", 20]],
  },
  {
    name: "forged-unreachable",
    summary: "forged ICMP: protocol and port unreachable",
    changes: [forgeErrors(CHANGE, [{ tag: "protocol unreachable" }, { tag: "port unreachable" }])],
    ...{ start: RAW, end: RAW },
    demands: [...CALM, ["forged", ">=", 20]],
  },
  {
    name: "hellos-relayed",
    summary: "somebody sends every HELLO on from an address of his own, and gets no data",
    // Another gateway makes the client send some at once.
    changes: [relayHellos(CHANGE), reroute(CHANGE + 1), countRelayed(8)],
    ...{ start: RAW, end: RAW },
    demands: [...CALM, ["relayed", ">=", 4], ["diverted", "<=", 0]],
  },
  {
    name: "spoofed-sources",
    summary: "packets with a thousand forged sources do not fill connection tracking",
    ...{ changes: [spoofSources(CHANGE)], start: RAW, end: RAW },
    demands: [...CALM, ["conntrack_grown", "<=", 20], ["conntrack_grown_control", ">=", 900]],
  },
];
