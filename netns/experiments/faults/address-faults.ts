/** What becomes of devices, addresses and translations under a link. */
import {
  HOSTS,
  makeDevice,
  plug,
  readdress,
  removeDevice,
  retranslate,
} from "../../topology/upheaval.ts";
import { during, type Fault, LINK, type Scene } from "./fault.ts";
import { loggedAfter } from "./log-times.ts";

const unnoticed: Fault["demands"] = [
  ["outage_ms", "<=", 50],
  ["lost", "==", 0],
  ["recovery_s", "<=", 3],
];

/** Taking an address away and giving another one are two steps, and programs of their own. */
const hardlyNoticed: Fault["demands"] = [["outage_ms", "<=", 100], ...unnoticed.slice(1)];

const carrier: Fault = {
  name: "carrier",
  summary: "the cable of link 1 is pulled, and plugged in again",
  holds: { full: 5, brief: 2 },
  act: during(
    ({ lab }) => plug(lab, 1, false),
    ({ lab }) => plug(lab, 1, true),
  ),
  demands: unnoticed,
};

const device: Fault = {
  name: "device",
  summary: "the device of link 1 is deleted, and there is another one by that name",
  holds: { full: 5, brief: 2 },
  act: during(
    ({ lab }) => removeDevice(lab, 1),
    ({ lab }) => makeDevice(lab, 1),
  ),
  demands: unnoticed,
};

const addressLost: Fault = {
  name: "address-lost",
  summary: "the device of link 1 has no address for a while",
  portals: async () => ({ sourceless: true }),
  holds: { full: 5, brief: 2 },
  act: during(
    ({ lab }) => readdress(lab, 1, null),
    ({ lab }) => readdress(lab, 1, HOSTS.usual),
  ),
  demands: hardlyNoticed,
};

const addressChanged: Fault = {
  name: "address-changed",
  summary: "the device of link 1 has another address",
  portals: async () => ({ sourceless: true }),
  holds: { full: 0, brief: 0 },
  act: async ({ lab }) => {
    await readdress(lab, 1, HOSTS.other);
    return undefined;
  },
  demands: hardlyNoticed,
};

const NAT_LINK = `${LINK},nat`;

/** A packet's way to the portal, a round trip, 200 ms for the old address to answer, and 20 ms to spare. */
const MOVED_MS = 250;

/** How long the Remote Portal goes on sending to the old address. */
async function moved({ lab, portals }: Scene): Promise<Record<string, number>> {
  const forgotten = await retranslate(lab, 1);
  return { moved_ms: await loggedAfter(portals, "remote", /link 0 moved/, forgotten) };
}

const rebinding: Fault = {
  name: "nat-rebind",
  summary: "the translation of link 1 goes over to another address",
  links: [NAT_LINK, LINK],
  // More than link 2 takes: an idle link 1 would show its new address with its next probe only.
  pace: 60e6,
  holds: { full: 0, brief: 0 },
  act: moved,
  demands: [
    ["lost", "==", 0],
    ["outage_ms", "<=", 300],
    ["moved_ms", "<=", MOVED_MS],
  ],
};

const rebindingAlone: Fault = {
  ...rebinding,
  name: "nat-rebind-alone",
  summary: "the translation of the only link goes over to another address",
  links: [NAT_LINK],
  pace: 20e6,
  demands: [
    ["outage_ms", "<=", 300],
    ["moved_ms", "<=", MOVED_MS],
  ],
};

export const ADDRESS_FAULTS: readonly Fault[] = [
  carrier,
  device,
  addressLost,
  addressChanged,
  rebinding,
  rebindingAlone,
];
