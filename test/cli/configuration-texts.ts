/** The text of a good configuration file for each role, and what is made of a text: its configuration, or its faults. */
import assert from "node:assert/strict";
import { faultText, type PlacedFault } from "../../src/cli/configuration/fault.ts";
import { judge, type Surroundings } from "../../src/cli/configuration/judge.ts";
import type { PortalConfig } from "../../src/portal/config.ts";

export const KEY = "q1dO2Jg5ZJ4pXoGm0W2m1oW7X5d1m8kQeJ3S0c1nN2s=";
const OTHER_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";

export const LOCAL = `role = "local"
[tunnel]
addresses = ["10.77.0.2/24"]
[peer]
address = "203.0.113.7"
client_id = "0011223344556677"
key = "${KEY}"
[[link]]
name = "dsl"
`;

export const REMOTE = `role = "remote"
[tunnel]
addresses = ["10.77.0.1/24"]
[[client]]
name = "one"
client_id = "0011223344556677"
key = "${KEY}"
inner = ["10.77.0.2"]
[[client]]
name = "two"
client_id = "8899aabbccddeeff"
key = "${OTHER_KEY}"
inner = ["10.77.0.3", "192.168.2.0/24"]
`;

export const QUIET: Surroundings = {
  exposed: null,
  readKeyFile: () => ({ value: new Uint8Array(32).fill(7) }),
};

export function faultsOf(text: string, around = QUIET): readonly PlacedFault[] {
  const judgement = judge(text, around);
  return "faults" in judgement ? judgement.faults : [];
}

export function configOf(text: string): PortalConfig {
  const judgement = judge(text, QUIET);
  assert.ok("config" in judgement, JSON.stringify(judgement));
  return judgement.config;
}

/** The only fault of a text, as it is shown. */
export function onlyFault(text: string): string {
  const faults = faultsOf(text);
  assert.equal(faults.length, 1, JSON.stringify(faults, null, 1));
  return faultText("f", faults[0] as PlacedFault);
}
