/** The files that `mpfwd init` writes, with comments that say what may be changed. Pure. */
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../portal/config.ts";
import type { LinkOption } from "./link-option.ts";

export interface ClientSecret {
  readonly name: string;
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** Base64. */
  readonly key: string;
}

interface Common {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly protocol: number;
}

export interface LocalText extends Common {
  readonly remote: string;
  readonly routes: readonly string[];
  readonly links: readonly LinkOption[];
  readonly client: ClientSecret;
}

export interface RemoteText extends Common {
  readonly client: ClientSecret & { readonly inner: readonly string[] };
}

export function localText(text: LocalText): string {
  const routes =
    text.routes.length === 0
      ? `# routes = ["0.0.0.0/0"]         # networks to reach through the tunnel`
      : `routes = ${list(text.routes)}`;
  return `# Local Portal of mpfwd. Keep this file to yourself: it carries the key.
role = "local"

[tunnel]
name = ${quote(text.name)}
addresses = ${list(text.addresses)}
${routes}
# encrypt = true                 # both sides must say the same; without it content is readable

[peer]
address = ${quote(text.remote)}
${ports(text)}client_id = ${quote(text.client.id)}
key = ${quote(text.client.key)}
${text.links.map(linkText).join("")}`;
}

export function remoteText(text: RemoteText): string {
  return `# Remote Portal of mpfwd. Keep this file to yourself: it carries the keys of all clients.
role = "remote"

[tunnel]
name = ${quote(text.name)}
addresses = ${list(text.addresses)}
# encrypt = true                 # both sides must say the same; without it content is readable

[listen]
# addresses = ["203.0.113.7"]    # default: every address of this machine
${ports(text)}
${clientText(text.client)}`;
}

export function clientText(client: RemoteText["client"]): string {
  return `[[client]]
name = ${quote(client.name)}
client_id = ${quote(client.id)}
key = ${quote(client.key)}
inner = ${list(client.inner)}
`;
}

function linkText(link: LinkOption): string {
  const pairs = Object.entries(link).map(([key, value]) =>
    typeof value === "number" ? `${key} = ${value}\n` : `${key} = ${quote(value)}\n`,
  );
  return `\n[[link]]\n${pairs.join("")}`;
}

function ports({ port, protocol }: Common): string {
  const own = port === DEFAULT_PORT ? `# port = ${port}` : `port = ${port}`;
  const number =
    protocol === DEFAULT_PROTOCOL ? `# protocol = ${protocol}` : `protocol = ${protocol}`;
  return `${own.padEnd(32)} # UDP and TCP port of the Remote Portal
${number.padEnd(32)} # IP protocol number of raw links; 254 is the second
`;
}

function list(texts: readonly string[]): string {
  return `[${texts.map(quote).join(", ")}]`;
}

/** Values are judged before; a JSON string is a TOML basic string. */
function quote(text: string): string {
  return JSON.stringify(text);
}
