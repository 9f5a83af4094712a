/**
 * `mpfwd init`: writes both portals' files, or adds a client to a Remote Portal's file; all or
 * nothing. Every text is judged as `check` would before the first octet is written.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { MpfwdError } from "../core/errors.ts";
import { addressAt, networkOf, overlaps, type Prefix } from "../core/prefix.ts";
import type { RemoteConfig } from "../portal/config.ts";
import { judge } from "./configuration/judge.ts";
import { faultsText, readConfiguration } from "./configuration.ts";
import { EXIT } from "./exit.ts";
import { newClientId, newKey } from "./genkey.ts";
import { type InitOptions, readOptions, type Wish } from "./init-options.ts";
import { replaceFile, writeAll } from "./secret-files.ts";
import { clientText, localText, remoteText } from "./templates.ts";

/** Addresses of a network that are tried for a new client. */
const ADDRESSES_MAX = 65_536;

/** @returns the exit code */
export function init(options: InitOptions): number {
  const wish = readOptions(options);
  const text = options.addTo === undefined ? writeBoth(wish, options) : addClient(wish, options);
  process.stdout.write(text);
  return EXIT.ok;
}

function writeBoth(wish: Wish, options: InitOptions): string {
  const client = { name: wish.client, id: newClientId(), key: newKey() };
  const addresses = wish.networks.map((own) => ({ own, pair: [at(own, 1), at(own, 2)] as const }));
  const inner = [...addresses.map(({ pair }) => pair[1].text), ...texts(wish.lan)];
  const local = localText({
    ...wish,
    addresses: addresses.map(({ own, pair }) => withLength(pair[1], own)),
    routes: texts(wish.routes),
    client,
  });
  const remote = remoteText({
    ...wish,
    addresses: addresses.map(({ own, pair }) => withLength(pair[0], own)),
    client: { ...client, inner },
  });
  const files = {
    local: join(options.out, "local.toml"),
    remote: join(options.out, "remote.toml"),
  };
  proveValid(files.local, local);
  proveValid(files.remote, remote);
  writeAll({ [files.local]: local, [files.remote]: remote }, options.force);
  return `Wrote ${files.local} and ${files.remote}; both carry the key and are open to you alone.

1. Copy ${files.remote} to the Remote Portal (${wish.remote}), and remove it here:
     scp -p ${files.remote} root@${wish.remote}:/etc/mpfwd.toml && rm ${files.remote}
2. There:  sudo mpfwd up /etc/mpfwd.toml
3. Here:   sudo mpfwd up ${files.local}
   and then: sudo mpfwd status
`;
}

function addClient(wish: Wish, options: InitOptions): string {
  const file = options.addTo ?? "";
  const config = readConfiguration(file);
  if (config.role !== "remote") {
    throw new MpfwdError(
      "ERR_USAGE",
      `${file} is the file of a Local Portal; --add-to takes a remote one`,
    );
  }
  const client = { name: wish.client, id: newClientId(), key: newKey() };
  const free = config.tunnel.addresses.map((own) => ({ own, address: freeAddress(config, own) }));
  const inner = [...free.map(({ address }) => address.text), ...texts(wish.lan)];
  const local = localText({
    ...wish,
    port: config.port,
    protocol: config.protocol,
    addresses: free.map(({ own, address }) => withLength(address, own)),
    routes: texts(wish.routes),
    client,
  });
  const target = join(options.out, `${wish.client}.toml`);
  const block = clientText({ ...client, inner });
  const remote = `${readFileSync(file, "utf8").trimEnd()}\n\n${block}`;
  proveValid(target, local);
  proveValid(file, remote);
  writeAll({ [target]: local }, options.force);
  try {
    replaceFile(file, remote);
  } catch (error) {
    rmSync(target, { force: true });
    throw error;
  }
  return `Added client ${wish.client} with ${inner.join(", ")} to ${file}, and wrote ${target}.

1. Restart the Remote Portal: sudo mpfwd up ${file}
2. Copy ${target} to the client, remove it here, and start it there: sudo mpfwd up ${target}
`;
}

/** The first address that neither the portal nor a client has. */
function freeAddress(config: RemoteConfig, own: Prefix): Prefix {
  const taken = [
    ...config.tunnel.addresses.map((address) => full(address)),
    ...config.clients.flatMap((client) => client.inner),
  ];
  for (let offset = 1; offset < ADDRESSES_MAX; offset += 1) {
    const address = addressAt(own, offset);
    // The last address of an IPv4 network is its broadcast address.
    if (address === null || (own.family === 4 && addressAt(own, offset + 1) === null)) break;
    if (!taken.some((other) => overlaps(other, address))) return address;
  }
  throw new MpfwdError("ERR_USAGE", `${networkOf(own).text} has no free address for a client`);
}

/** `readOptions` has made sure of the room. */
function at(own: Prefix, offset: number): Prefix {
  const address = addressAt(own, offset);
  if (address === null) throw new Error("bug in mpfwd: a network without room passed its check");
  return address;
}

function withLength(address: Prefix, own: Prefix): string {
  return address.text.replace(/\/\d+$/, `/${own.bits}`);
}

function full(prefix: Prefix): Prefix {
  return { ...prefix, bits: prefix.address.length * 8 };
}

function texts(prefixes: readonly Prefix[]): string[] {
  return prefixes.map((prefix) => prefix.text);
}

function proveValid(file: string, text: string): void {
  const judgement = judge(text, {
    exposed: null,
    readKeyFile: () => ({ value: new Uint8Array(32).fill(1) }),
  });
  if ("config" in judgement) return;
  throw new MpfwdError("ERR_CONFIG", faultsText(file, judgement.faults));
}
