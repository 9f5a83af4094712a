/**
 * Where packet I/O is measured: a lab's Local Portal and its provider, joined by one veth that carries
 * MTU-sized packets. At the provider every packet of the IP protocol is counted, then dropped unless a
 * socket is to have it. The client can load the same veth with more than one core can send: what it
 * sends is multiplied on its way through the Local Portal.
 */
import { MpfwdError } from "../../src/core/errors.ts";
import { parseLink } from "../link-options.ts";
import { Lab } from "../topology/lab.ts";
import { ADDRESS, type Role } from "../topology/names.ts";
import { type End, IP_PROTOCOL } from "./packet-io-backend.ts";

/**
 * Packets that arrive for one that the client sends. A copy costs the loading core about half of what a
 * packet sent costs it; with more copies than these the rest is a few percent.
 */
const COPIES = 16;

export interface PacketIoNetwork {
  readonly lab: Lab;
  readonly client: End;
  /** Both ends of the veth. */
  readonly near: End;
  readonly far: End;
}

export async function buildNetwork(): Promise<PacketIoNetwork> {
  const lab = await Lab.up({ links: [parseLink("")] });
  try {
    const [client, near, far] = await Promise.all([
      endOf(lab, "client", "lan", ADDRESS.client(4)),
      endOf(lab, "lp", "wan1", ADDRESS.access(4, 1, 2)),
      endOf(lab, "isp1", "lp", ADDRESS.access(4, 1, 1)),
    ]);
    await multiply(lab, far);
    return { lab, client, near, far };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** From now on: counts anew what arrives at the far end. */
export async function countArrivals(lab: Lab, then: "accept" | "drop"): Promise<void> {
  const rules = `table inet bench
delete table inet bench
table inet bench {
  counter arrived { }
  chain arrive {
    type filter hook prerouting priority raw
    ip protocol ${IP_PROTOCOL} counter name "arrived" ${then}
  }
}
`;
  await lab.exec("isp1", "nft", ["-f", "-"], { input: rules });
}

/** Packets that arrived at the far end since `countArrivals`. */
export async function arrivals(lab: Lab): Promise<number> {
  const list = ["-j", "list", "counter", "inet", "bench", "arrived"];
  const { stdout } = await lab.exec("isp1", "nft", list);
  const { nftables } = JSON.parse(stdout) as {
    nftables: readonly { readonly counter?: { readonly packets: number } }[];
  };
  const found = nftables.find(({ counter }) => counter !== undefined);
  if (found?.counter === undefined) throw new MpfwdError("ERR_HOST", `nft says: ${stdout}`);
  return found.counter.packets;
}

/** Copies go straight from one device to the other, without a route looked up for each. */
async function multiply(lab: Lab, far: End): Promise<void> {
  const statements = Array.from({ length: COPIES }, () => 'dup to "wan1"').join(" ");
  const rules = `table netdev bench {
  chain multiply {
    type filter hook ingress device "lan" priority 0
    ip protocol ${IP_PROTOCOL} ether daddr set ${far.mac} ${statements} drop
  }
}
`;
  await lab.exec("lp", "nft", ["-f", "-"], { input: rules });
}

async function endOf(lab: Lab, role: Role, device: string, address: string): Promise<End> {
  const show = ["-json", "link", "show", "dev", device];
  const { stdout } = await lab.exec(role, "ip", show);
  const [link] = JSON.parse(stdout) as readonly { readonly address: string }[];
  if (link === undefined) throw new MpfwdError("ERR_HOST", `ip says nothing of ${device}`);
  return { address, device, mac: link.address };
}
