/** A plain connection beside the tunnel: its packets go straight into the pipes. */
import type { Arena } from "../../src/core/arena.ts";
import type { Endpoint, Outlet } from "./ends.ts";
import { AT, trafficClassOf } from "./packets.ts";
import type { Pipe } from "./pipe.ts";

/** An outlet into `pipe`, at whose far end stands `endpoint`. */
export function besideOutlet(arena: Arena, pipe: Pipe, endpoint: Endpoint): Outlet {
  const port = pipe.connect({
    arrive: (nowUs, slot, trafficClass) => {
      arena.octets[(arena.start[slot] as number) + AT.trafficClass] = trafficClass;
      endpoint.receive(nowUs, slot);
      arena.give(slot);
    },
    settle: (nowUs) => endpoint.endBatch(nowUs),
  });
  return {
    send: (nowUs, slot) => {
      const bytes = arena.length[slot] as number;
      pipe.offer(nowUs, port, slot, bytes, trafficClassOf(arena, slot));
    },
  };
}

/** Breaks the circle between two ends that need each other's outlet first. */
export class LateEndpoint implements Endpoint {
  target: Endpoint | undefined;

  receive(nowUs: number, slot: number): void {
    this.target?.receive(nowUs, slot);
  }

  endBatch(nowUs: number): void {
    this.target?.endBatch(nowUs);
  }
}
