-- Wireshark dissector of the mpfwd protocol, version 1 (docs/protocol.md).
--
--   tshark -X lua_script:scripts/mpfwd.lua -r capture.pcap
--
-- Shows what stands in clear on the wire; it has no keys, verifies no tag and opens no sealed field.
-- The length of a DATA tag is not on the wire and is a preference, as are the protocol number and
-- the UDP port. A DATA payload that is an IP packet goes to the IP dissector.

local mpfwd = Proto("mpfwd", "mpfwd multipath forwarder")

local PREAMBLE = 8
local ORDERED_PREAMBLE = 13
local TAG = 16

local TYPES = {
  [1] = "INIT", [2] = "RESP", [3] = "RETRY", [4] = "ATTACH", [5] = "CHALLENGE",
  [6] = "RESPONSE", [7] = "FEEDBACK", [8] = "CONTROL", [9] = "DATA", [10] = "RESET",
}
local CONTROLS = { [1] = "close", [2] = "rekey", [3] = "attached", [4] = "ping" }
local TRANSPORTS = { [0] = "raw", [1] = "UDP", [2] = "TCP" }
local DATA, ORDER_BIT = 9, 4

local f = {
  type = ProtoField.uint8("mpfwd.type", "Type", base.DEC, TYPES, 0xf0),
  flags = ProtoField.uint8("mpfwd.flags", "Flags", base.HEX, nil, 0x0f),
  key_phase = ProtoField.bool("mpfwd.flags.key_phase", "Key phase", 8, nil, 0x08),
  ordered = ProtoField.bool("mpfwd.flags.order", "Order fields present", 8, nil, 0x04),
  ack_now = ProtoField.bool("mpfwd.flags.ack_now", "Acknowledge now", 8, nil, 0x02),
  copy = ProtoField.bool("mpfwd.flags.copy", "Copy", 8, nil, 0x01),
  link_id = ProtoField.uint24("mpfwd.link_id", "Link id", base.HEX),
  seq = ProtoField.uint32("mpfwd.seq", "Sequence (low 32 bits)"),
  order = ProtoField.uint24("mpfwd.order", "Order", base.DEC),
  prev = ProtoField.uint16("mpfwd.prev", "Distance to the previous packet of the flow"),
  payload = ProtoField.bytes("mpfwd.payload", "Payload"),
  payload_length = ProtoField.uint32("mpfwd.payload.length", "Payload length"),
  tag = ProtoField.bytes("mpfwd.tag", "Tag"),
  tag_length = ProtoField.uint32("mpfwd.tag.length", "Tag length"),
  client_id = ProtoField.bytes("mpfwd.client_id", "Client id"),
  version = ProtoField.uint8("mpfwd.version", "Version"),
  ephemeral = ProtoField.bytes("mpfwd.ephemeral", "Ephemeral public key"),
  sealed = ProtoField.bytes("mpfwd.sealed", "Sealed payload"),
  sealed_length = ProtoField.uint32("mpfwd.sealed.length", "Sealed payload length"),
  cookie = ProtoField.bytes("mpfwd.cookie", "Cookie"),
  number = ProtoField.uint8("mpfwd.link_number", "Link number"),
  peer_id = ProtoField.uint24("mpfwd.peer_link_id", "Link id for the other direction", base.HEX),
  transport = ProtoField.uint8("mpfwd.transport", "Transport", base.DEC, TRANSPORTS),
  nonce = ProtoField.bytes("mpfwd.nonce", "Nonce"),
  echo = ProtoField.bytes("mpfwd.echo", "Echoed nonce"),
  port = ProtoField.uint16("mpfwd.observed_port", "Observed port"),
  address = ProtoField.ipv6("mpfwd.observed_address", "Observed address"),
  control = ProtoField.uint8("mpfwd.control", "Control", base.DEC, CONTROLS),
  reason = ProtoField.uint8("mpfwd.close_reason", "Reason"),
}
mpfwd.fields = f

local damaged = ProtoExpert.new(
  "mpfwd.damaged", "Not a message of mpfwd version 1", expert.group.MALFORMED, expert.severity.ERROR
)
mpfwd.experts = { damaged }

mpfwd.prefs.protocol = Pref.uint("IP protocol", 253, "Protocol number of raw links")
mpfwd.prefs.port = Pref.uint("UDP port", 5253, "UDP port of the Remote Portal")
mpfwd.prefs.tag = Pref.uint("DATA tag octets", 10, "8, 10, 12 or 16; 16 when DATA is encrypted")
mpfwd.prefs.encrypted = Pref.bool("DATA is encrypted", false, "Then the payload is not looked into")

-- Bodies of the types that have one in clear; `body` ends before the tag.
local bodies = {}

bodies[1] = function(tree, body)
  tree:add(f.client_id, body(0, 8))
  tree:add(f.version, body(8, 1))
  tree:add(f.ephemeral, body(12, 32))
  tree:add(f.sealed, body(44, 76))
  tree:add(f.sealed_length, 76):set_generated()
  tree:add(f.cookie, body(120, 16))
end

bodies[2] = function(tree, body)
  tree:add(f.ephemeral, body(0, 32))
  tree:add(f.sealed, body(32, 104))
  tree:add(f.sealed_length, 104):set_generated()
end

bodies[3] = function(tree, body)
  tree:add(f.cookie, body(0, 16))
end

bodies[4] = function(tree, body)
  tree:add(f.number, body(0, 1))
  tree:add(f.peer_id, body(1, 3))
  tree:add(f.transport, body(4, 1))
  tree:add(f.nonce, body(8, 8))
end

bodies[5] = function(tree, body)
  tree:add(f.echo, body(0, 8))
  tree:add(f.nonce, body(8, 8))
  tree:add(f.number, body(16, 1))
  tree:add(f.peer_id, body(17, 3))
  tree:add(f.port, body(20, 2))
  tree:add(f.address, body(22, 16))
end

bodies[6] = function(tree, body)
  tree:add(f.echo, body(0, 8))
end

bodies[7] = function(tree, body)
  tree:add(f.payload, body)
end

bodies[8] = function(tree, body)
  tree:add(f.control, body(0, 1))
  if body(0, 1):uint() == 1 and body:len() >= 2 then tree:add(f.reason, body(1, 1)) end
end

-- Octets of the body of every type that has a fixed length.
local LENGTHS = { [1] = 136, [2] = 136, [3] = 16, [4] = 40, [5] = 40, [6] = 8, [10] = 0 }

local function add_preamble(tree, buffer)
  tree:add(f.type, buffer(0, 1))
  local flags = tree:add(f.flags, buffer(0, 1))
  flags:add(f.key_phase, buffer(0, 1))
  flags:add(f.ordered, buffer(0, 1))
  flags:add(f.ack_now, buffer(0, 1))
  flags:add(f.copy, buffer(0, 1))
  tree:add(f.link_id, buffer(1, 3))
  tree:add(f.seq, buffer(4, 4))
end

local function add_tag(tree, buffer, length)
  tree:add(f.tag, buffer(buffer:len() - length, length))
  tree:add(f.tag_length, length):set_generated()
end

local function add_data(buffer, pinfo, tree, root)
  local ordered = bit.band(buffer(0, 1):uint(), ORDER_BIT) ~= 0
  local header = ordered and ORDERED_PREAMBLE or PREAMBLE
  local tag = mpfwd.prefs.encrypted and TAG or mpfwd.prefs.tag
  local length = buffer:len() - header - tag
  if length < 0 then
    tree:add_proto_expert_info(damaged)
    return
  end
  if ordered then
    tree:add(f.order, buffer(8, 3))
    tree:add(f.prev, buffer(11, 2))
  end
  tree:add(f.payload_length, length):set_generated()
  add_tag(tree, buffer, tag)
  if length == 0 then
    pinfo.cols.info:append(", probe")
    return
  end
  local payload = buffer(header, length)
  local version = payload(0, 1):bitfield(0, 4)
  if mpfwd.prefs.encrypted or (version ~= 4 and version ~= 6) then
    tree:add(f.payload, payload)
    return
  end
  Dissector.get("ip"):call(payload:tvb(), pinfo, root)
end

local function add_other(buffer, kind, tree)
  local length = buffer:len() - PREAMBLE - TAG
  if length < 0 or (LENGTHS[kind] and LENGTHS[kind] ~= length) then
    tree:add_proto_expert_info(damaged)
    return
  end
  if bodies[kind] and length > 0 then bodies[kind](tree, buffer(PREAMBLE, length)) end
  add_tag(tree, buffer, TAG)
end

function mpfwd.dissector(buffer, pinfo, root)
  if buffer:len() < PREAMBLE then return 0 end
  local kind = buffer(0, 1):bitfield(0, 4)
  local name = TYPES[kind]
  if not name then return 0 end
  pinfo.cols.protocol = "mpfwd"
  pinfo.cols.info = string.format("%s, link %06x, seq %d", name, buffer(1, 3):uint(), buffer(4, 4):uint())
  local tree = root:add(mpfwd, buffer(), "mpfwd " .. name)
  add_preamble(tree, buffer)
  if kind == DATA then
    add_data(buffer, pinfo, tree, root)
  else
    add_other(buffer, kind, tree)
  end
  return buffer:len()
end

local registered = {}

local function register()
  if registered.protocol then
    DissectorTable.get("ip.proto"):remove(registered.protocol, mpfwd)
    DissectorTable.get("udp.port"):remove(registered.port, mpfwd)
  end
  registered = { protocol = mpfwd.prefs.protocol, port = mpfwd.prefs.port }
  DissectorTable.get("ip.proto"):add(registered.protocol, mpfwd)
  DissectorTable.get("udp.port"):add(registered.port, mpfwd)
end

function mpfwd.prefs_changed()
  register()
end

register()
