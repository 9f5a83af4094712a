/** What the addon tells of this machine's devices, addresses and routes (`machine.cc`). */

/** What a monitor has heard of, as bits; missed: there was more than it could hold, of any kind. */
export const CHANGE = { device: 1, address: 2, route: 4, missed: 8 } as const;

export interface Device {
  readonly index: number;
  readonly name: string;
  /** Switched on. */
  readonly up: boolean;
  /** Switched on, and able to carry packets: it has a carrier, or knows nothing of carriers. */
  readonly running: boolean;
}

export interface MachineView {
  /**
   * Hears of changes of devices, addresses, routes, rules and next hops in this network namespace: readable
   * (after an overflow with `READY.error`) until `readMonitor` has taken all.
   */
  openMonitor(): number;
  /** Takes what a monitor has heard, at most 1024 messages a call; CHANGE bits of what there was, 0: nothing. */
  readMonitor(handle: number): number;
  /**
   * Asks rtnetlink one question (a GET, no dump; at most 256 octets with its head, whose sequence number is
   * filled in) and returns the answer, which may be NLMSG_ERROR. Does not wait.
   */
  askRoute(request: Uint8Array): Uint8Array;
  /** By name or index; null: there is none. Does not wait. */
  device(device: string | number): Device | null;
}
