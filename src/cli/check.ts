/** `mpfwd check`: what a file tells a portal to do, without its keys; as text or as JSON. */
import type { Prefix } from "../core/prefix.ts";
import { guardTable } from "../host/guard.ts";
import type { LinkConfig, LocalConfig, PortalConfig, RemoteConfig } from "../portal/config.ts";
import { faultsText, judgeFile } from "./configuration.ts";
import { EXIT } from "./exit.ts";
import { table } from "./table.ts";

/** @returns the exit code */
export function check(file: string, json: boolean): number {
  const judgement = judgeFile(file);
  if ("config" in judgement) {
    const shown = json
      ? JSON.stringify({ valid: true, config: withoutKeys(judgement.config) }, null, 2)
      : summary(file, judgement.config);
    process.stdout.write(`${shown}\n`);
    return EXIT.ok;
  }
  if (json) process.stdout.write(`${JSON.stringify({ valid: false, ...judgement }, null, 2)}\n`);
  else process.stderr.write(`${faultsText(file, judgement.faults)}\n`);
  return EXIT.usage;
}

function summary(file: string, config: PortalConfig): string {
  const { tunnel } = config;
  const seal = tunnel.encrypt ? "encrypted and authenticated" : "authenticated, not encrypted";
  const lines = [
    `${file} is valid: a ${config.role === "local" ? "Local" : "Remote"} Portal`,
    "",
    `tunnel    ${tunnel.name}, ${texts(tunnel.addresses)}`,
    `          MTU ${tunnel.mtu ?? "from the links"}, offload ${tunnel.offload ? "on" : "off"}`,
    `          ${seal}, tag of ${tunnel.encrypt ? 16 : tunnel.tagOctets} octets`,
    `guard     ${tunnel.guard ? `nftables table inet ${guardTable(tunnel.name)}` : "off"}`,
    `routes    ${tunnel.routes.length === 0 ? "none" : texts(tunnel.routes)}`,
    ...(config.role === "local" ? localLines(config) : remoteLines(config)),
  ];
  return lines.join("\n");
}

function localLines(config: LocalConfig): string[] {
  const rows = config.links.map((link) => [
    link.name,
    link.transport,
    link.device ?? "any",
    link.source ?? "any",
    remoteText(link, config),
    String(link.mtu),
  ]);
  const head = ["link", "transport", "device", "source", "remote", "MTU"];
  return [`client    ${idText(config.clientId)}`, "", ...table([head, ...rows])];
}

function remoteText(link: LinkConfig, config: LocalConfig): string {
  const protocol = link.transports.includes("raw") ? [`protocol ${config.protocol}`] : [];
  const port = link.transports.some((one) => one !== "raw") ? [`port ${config.port}`] : [];
  return `${link.remote} ${[...protocol, ...port].join(", ")}`;
}

function remoteLines(config: RemoteConfig): string[] {
  const ports = config.transports.map((transport) =>
    transport === "raw" ? `raw protocol ${config.protocol}` : `${transport} port ${config.port}`,
  );
  const where = config.listen.length === 0 ? "every address" : config.listen.join(", ");
  const rows = config.clients.map((client) => [
    client.name,
    idText(client.clientId),
    texts(client.inner),
  ]);
  const head = ["client", "id", "inner addresses"];
  return [`listen    ${where}, ${ports.join(", ")}`, "", ...table([head, ...rows])];
}

/** The configuration as JSON values: prefixes and ids as text, keys left out. */
function withoutKeys(config: PortalConfig): unknown {
  return JSON.parse(
    JSON.stringify(config, (name, value: unknown) => {
      if (name === "key") return undefined;
      if (name === "clientId" && value instanceof Uint8Array) return idText(value);
      return isPrefix(value) ? value.text : value;
    }),
  );
}

function isPrefix(value: unknown): value is Prefix {
  return typeof value === "object" && value !== null && "bits" in value && "text" in value;
}

function texts(prefixes: readonly Prefix[]): string {
  return prefixes.map((prefix) => prefix.text).join(", ");
}

function idText(clientId: Uint8Array): string {
  return Buffer.from(clientId).toString("hex");
}
