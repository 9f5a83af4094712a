/**
 * IP protocol numbers that have a use on today's networks or in the kernel, so that raw links must
 * not take them: firewalls and NATs read them as what they are assigned to (IANA registry
 * "Assigned Internet Protocol Numbers"). 253 and 254 are for experiments (RFC 3692, RFC 4727).
 */
const IN_USE: Readonly<Record<number, string>> = {
  1: "ICMP",
  2: "IGMP",
  4: "IPv4 in IP",
  6: "TCP",
  8: "EGP",
  12: "PUP",
  17: "UDP",
  22: "XNS IDP",
  27: "RDP",
  29: "ISO TP4",
  33: "DCCP",
  41: "IPv6 in IP",
  43: "the routing header of IPv6",
  44: "the fragment header of IPv6",
  46: "RSVP",
  47: "GRE",
  50: "ESP (IPsec)",
  51: "AH (IPsec)",
  58: "ICMPv6",
  59: "the end of the headers of IPv6",
  60: "the destination options of IPv6",
  88: "EIGRP",
  89: "OSPF",
  92: "MTP",
  94: "IP in IP",
  97: "Ethernet in IP",
  98: "private encapsulation",
  103: "PIM",
  108: "IPComp",
  112: "VRRP",
  115: "L2TP",
  132: "SCTP",
  135: "the mobility header of IPv6",
  136: "UDP-Lite",
  137: "MPLS in IP",
  139: "HIP",
  140: "Shim6",
  143: "Ethernet",
};

/** @returns who uses this protocol number, undefined when it is free to take */
export function protocolInUse(number: number): string | undefined {
  return IN_USE[number];
}
