/** What becomes of devices, addresses and translations under a link. */
import type { Fault } from "./fault.ts";

export const ADDRESS_FAULTS: readonly Fault[] = [];
