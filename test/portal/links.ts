/** Links of a Local Portal for tests: their sockets are never opened. */
import type { LinkConfig, LocalConfig } from "../../src/portal/config.ts";
import { LinkSockets } from "../../src/portal/link-sockets.ts";

/** A link that leads to a name, so that nothing but its device can be asked for before that has an address. */
export function linkSockets(number: number, place: Partial<LinkConfig>): LinkSockets {
  const transports = ["udp"] as const;
  const rates = { controller: { name: "cubic" }, dscp: 0, metric: 0, mtu: 1500 } as const;
  const config: LinkConfig = {
    ...{ name: `link${number}`, remote: "portal.example", transport: "udp", transports },
    ...{ ...rates, ...place },
  };
  return new LinkSockets(number, config, {} as LocalConfig);
}
