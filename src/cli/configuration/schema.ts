/**
 * The tables and keys of a configuration file, one schema for each role. What one value may be is
 * `values.ts`; what values may be together is `crosscheck.ts`; `docs/configuration.md` is the
 * operator's description of the same.
 */
import * as v from "valibot";
import { TRANSPORTS } from "../../core/transport.ts";
import { CONTROLLER_NAMES, DEFAULT_PORT, DEFAULT_PROTOCOL } from "../../portal/config.ts";
import * as value from "./values.ts";

/** Links are numbered 0 to 15 on the wire. */
export const LINKS_MAX = 16;
export const CLIENTS_MAX = 1024;
const PREFIXES_MAX = 64;
/** Smallest datagram every IPv4 host takes (RFC 1122 section 3.3.2), to what a packet slot holds. */
export const TUNNEL_MTU = { min: 576, max: 1968 } as const;
const LINK_MTU = { min: 576, max: 9216 } as const;
const METRIC_MAX = 65_535;

const octets = " octets";
const port = v.optional(value.integer(1, 65_535), DEFAULT_PORT);
const protocol = v.optional(value.protocol, DEFAULT_PROTOCOL);
const transport = value.oneOf(TRANSPORTS);

const controller = value.oneOf(CONTROLLER_NAMES);
/** Many translations forget UDP after 30 s (RFC 4787 section 4.3 asks for 120). */
const KEEPALIVE_SECONDS = { min: 1, max: 25 };
/** An hour is what the protocol allows; more often than this is no gain, and costs handshakes. */
const REKEY_SECONDS = { min: 5, max: 3600 };
/** Six bits: RFC 2474 section 3. */
const dscp = value.integer(0, 63);

/** Exactly one of the two, see `crosscheck.ts`. */
const secret = {
  key: v.optional(value.key),
  key_file: v.optional(value.text("the path of a file", (path) => ({ value: path }))),
};

const tunnel = v.object(
  {
    name: v.optional(value.instanceName, "mpfwd0"),
    addresses: list(value.interfaceAddress, 1, PREFIXES_MAX, "one or more addresses"),
    mtu: v.optional(value.integer(TUNNEL_MTU.min, TUNNEL_MTU.max, octets)),
    routes: v.optional(list(value.network, 0, PREFIXES_MAX, "a list of networks"), []),
    tag_octets: v.optional(value.oneOf([8, 10, 12, 16]), 10),
    encrypt: v.optional(value.yesOrNo, false),
    offload: v.optional(value.yesOrNo, true),
    guard: v.optional(value.yesOrNo, true),
    controller: v.optional(controller, CONTROLLER_NAMES[0]),
    rate: v.optional(value.rate),
    compete: v.optional(value.yesOrNo, true),
    dscp: v.optional(dscp, 0),
    ecn: v.optional(value.yesOrNo, true),
    realtime: v.optional(value.oneOf(["single", "duplicate"]), "single"),
    keepalive: v.optional(
      value.integer(KEEPALIVE_SECONDS.min, KEEPALIVE_SECONDS.max, " seconds"),
      1,
    ),
  },
  "a [tunnel] table",
);

export const linkTable = v.object(
  {
    name: value.label,
    device: v.optional(value.deviceName),
    source: v.optional(value.address),
    remote: v.optional(value.host),
    transport: v.optional(value.oneOf(["auto", ...TRANSPORTS]), "auto"),
    min_transport: v.optional(transport, "tcp"),
    controller: v.optional(controller),
    rate: v.optional(value.rate),
    dscp: v.optional(dscp),
    metric: v.optional(value.integer(0, METRIC_MAX), 0),
    mtu: v.optional(value.integer(LINK_MTU.min, LINK_MTU.max, octets), 1500),
  },
  "a [[link]] table",
);

const peer = v.object(
  {
    ...{ address: value.host, port, protocol, client_id: value.clientId, ...secret },
    rekey_seconds: v.optional(
      value.integer(REKEY_SECONDS.min, REKEY_SECONDS.max, " seconds"),
      3600,
    ),
  },
  "a [peer] table",
);

const client = v.object(
  {
    name: value.label,
    client_id: value.clientId,
    ...secret,
    inner: list(value.network, 1, PREFIXES_MAX, "one or more networks"),
  },
  "a [[client]] table",
);

const listen = v.object(
  {
    addresses: v.optional(list(value.address, 0, PREFIXES_MAX, "a list of addresses"), []),
    port,
    protocol,
    transports: v.optional(list(transport, 1, 3, 'some of "raw", "udp", "tcp"'), [...TRANSPORTS]),
  },
  "a [listen] table",
);

export const roleSchema = value.oneOf(["local", "remote"]);

export const localSchema = v.object({
  role: roleSchema,
  tunnel,
  peer,
  link: list(linkTable, 1, LINKS_MAX, "one or more [[link]] tables"),
});

export const remoteSchema = v.object({
  role: roleSchema,
  tunnel,
  listen: v.optional(listen, {}),
  client: list(client, 1, CLIENTS_MAX, "one or more [[client]] tables"),
});

export type LocalTable = v.InferOutput<typeof localSchema>;
export type RemoteTable = v.InferOutput<typeof remoteSchema>;

function list<Item extends v.GenericSchema>(
  item: Item,
  least: number,
  most: number,
  expected: string,
) {
  return v.pipe(
    v.array(item, expected),
    v.minLength(least, "this list is empty"),
    v.maxLength(most, `more than ${most} entries`),
  );
}
