/**
 * A second client at the Remote Portal of a world: its messages go there instead of to its own, from
 * the address that `outside` gives each of its links, and what the portal sends there comes back.
 */
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { MS } from "../../src/core/time.ts";
import { transportOf } from "../../src/core/transport.ts";
import { hex } from "./addon-model.ts";
import { byTransport } from "./paths.ts";
import type { World } from "./world.ts";

export class Neighbours {
  readonly #portal: World;
  readonly #other: World;

  /** @param outside - UDP path of a link as the portal sees it */
  constructor(portal: World, other: World, outside: (link: number) => Path) {
    this.#portal = portal;
    this.#other = other;
    const pathsOf = (transport: (typeof other.transports)[number]) =>
      other.paths.map((_, link) => byTransport(outside(link), transport));
    other.inject = (octets, path) => {
      const transport = transportOf(path[PATH_AT.transport] as number) ?? "udp";
      const link = other.paths.findIndex((own) => hex(byTransport(own, transport)) === hex(path));
      const from = pathsOf(transport)[link];
      if (from !== undefined) portal.inject(octets, from);
    };
    const { tap } = portal;
    portal.tap = (up, octets, path) => {
      tap(up, octets, path);
      if (up) return;
      // The first client has the raw packets of an address that both have.
      const taken = portal.paths.some((own) => hex(byTransport(own, "raw")) === hex(path));
      for (const transport of taken ? [] : other.transports) {
        const link = pathsOf(transport).findIndex((own) => hex(own) === hex(path));
        if (link >= 0) other.injectDown(octets, link, transport);
      }
    };
  }

  /** Lets time pass at both, a millisecond at a time. */
  run(durationUs: number): void {
    for (let passedUs = 0; passedUs < durationUs; passedUs += MS) {
      this.#other.run(MS);
      this.#portal.run(MS);
    }
  }
}
