/**
 * `mpfwd probe --listen`: answers probes of whoever has the key that it prints, until it is stopped.
 * Nobody else gets an answer, so it is no reflector.
 */
import { networkInterfaces } from "node:os";
import { checkCapabilities } from "../host/privilege.ts";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../portal/config.ts";
import { EXIT } from "./exit.ts";
import { newClientId, newKey } from "./genkey.ts";
import { familyOf, identityOf, numberOf, type ProbeFlags, protocolOf } from "./probe-options.ts";

/** @returns the exit code */
export async function probeListen(flags: ProbeFlags): Promise<number> {
  const family = familyOf(flags);
  const port = numberOf(flags.port, "--port", 1, 65_535) ?? DEFAULT_PORT;
  const protocol = protocolOf(flags) ?? DEFAULT_PROTOCOL;
  const key = newKey();
  const id = newClientId();
  const oneTime = {
    key: new Uint8Array(Buffer.from(key, "base64")),
    clientId: new Uint8Array(Buffer.from(id, "hex")),
  };
  const identity = flags.key === undefined ? oneTime : identityOf(flags);
  checkCapabilities(["CAP_NET_RAW"]);
  const { Listening } = await import("../prober/listening.ts");
  const listening = new Listening({
    ...{ ...identity, port, protocol, otherProtocol: protocol === 253 ? 254 : 253 },
    families: family === null ? [4, 6] : [family],
    say: (text) => process.stderr.write(`${text}\n`),
  });
  listening.start();
  process.stdout.write(invitation(flags, { key, id, port, protocol }));
  await new Promise<void>((settle) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => settle());
  });
  listening.stop();
  return EXIT.ok;
}

function invitation(
  flags: ProbeFlags,
  own: { key: string; id: string; port: number; protocol: number },
): string {
  const { key, id, port, protocol } = own;
  const numbers = [
    ...(port === DEFAULT_PORT ? [] : [`--port ${port}`]),
    ...(protocol === DEFAULT_PROTOCOL ? [] : [`--protocol ${protocol}`]),
  ];
  const hosts = addresses();
  const host = hosts[0] ?? "ADDRESS";
  const command = ["sudo mpfwd probe", host, "--key", "probe.key", ...numbers].join(" ");
  const others = hosts.length > 1 ? [`(or, by another address: ${hosts.slice(1).join(", ")})`] : [];
  const paste = `(umask 077; printf '%s\\n' ${key} ${id} > probe.key)`;
  return [
    `Answering probes on UDP and TCP port ${port} and protocol ${protocol}, until this is stopped.`,
    ...(flags.key === undefined
      ? ["The key is good for as long. Paste at the other side:", "", `  ${paste}`, `  ${command}`]
      : ["At the other side, with the same key:", "", `  ${command}`]),
    ...others.map((line) => `  ${line}`),
    "",
    "",
  ].join("\n");
}

/** Of this machine, without loopback and link-local ones; IPv4 first. */
function addresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const shown = all.filter(({ internal, address }) => !internal && !/^fe80:/i.test(address));
  return shown
    .sort((a, b) => a.family.localeCompare(b.family))
    .slice(0, 8)
    .map(({ address }) => address);
}
