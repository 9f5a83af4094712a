/**
 * Packet I/O by the npm package `cap`, that is by libpcap: it receives copies of frames and injects
 * frames whose Ethernet and IP headers the caller has made. It does not own the IP protocol; the
 * network around it drops what it has captured, or the kernel would answer "protocol unreachable".
 */
import { createRequire } from "node:module";
import { checksum } from "../topology/packets.ts";
import {
  BATCH,
  type Backend,
  BUFFER_OCTETS,
  everyTurn,
  IP_HEADER_OCTETS,
  IP_PROTOCOL,
  type Setup,
} from "./packet-io-backend.ts";

interface Capture {
  open(device: string, filter: string, bufferOctets: number, buffer: Buffer): string;
  on(event: "packet", listener: (octets: number, truncated: boolean) => void): void;
  send(frame: Buffer, octets: number): void;
}

interface CapPackage {
  readonly Cap: new () => Capture;
}

const ETHERNET_OCTETS = 14;
const ETHERTYPE_IPV4 = 0x0800;
const FRAME_OCTETS_MAX = 65_535;
const TTL = 64;

/** Kept for as long as the process runs: it writes into the buffer whether or not that is reachable. */
const buffer = Buffer.alloc(FRAME_OCTETS_MAX);
let capture: Capture;

export const cap: Backend = {
  async send(setup, meter, endMs) {
    capture = open(setup);
    const frame = frameOf(setup);
    await everyTurn(endMs, () => {
      for (let count = 0; count < BATCH; count += 1) capture.send(frame, frame.length);
      meter.add(BATCH);
    });
  },

  receive(setup, meter) {
    capture = open(setup);
    const expected = ETHERNET_OCTETS + setup.octets;
    capture.on("packet", (octets) => {
      if (octets === expected) meter.add(1);
    });
  },
};

/** The filter leaves out what this end sends, which libpcap shows as well. */
function open({ local }: Setup): Capture {
  const { Cap } = createRequire(import.meta.url)("cap") as CapPackage;
  const opened = new Cap();
  const filter = `ip proto ${IP_PROTOCOL} and ether dst ${local.mac}`;
  const kind = opened.open(local.device, filter, BUFFER_OCTETS, buffer);
  if (kind !== "ETHERNET") throw new Error(`${local.device} is not an Ethernet but ${kind}`);
  return opened;
}

/** RFC 791 section 3.1 behind an Ethernet header. */
function frameOf({ octets, local, remote }: Setup): Buffer {
  const frame = Buffer.alloc(ETHERNET_OCTETS + octets);
  frame.write(remote.mac.replaceAll(":", ""), 0, "hex");
  frame.write(local.mac.replaceAll(":", ""), 6, "hex");
  frame.writeUInt16BE(ETHERTYPE_IPV4, 12);
  const header = frame.subarray(ETHERNET_OCTETS, ETHERNET_OCTETS + IP_HEADER_OCTETS);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(octets, 2);
  header.writeUInt8(TTL, 8);
  header.writeUInt8(IP_PROTOCOL, 9);
  header.set(local.address.split(".").map(Number), 12);
  header.set(remote.address.split(".").map(Number), 16);
  header.writeUInt16BE(checksum(header), 10);
  return frame;
}
