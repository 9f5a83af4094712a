-- Wireshark dissector of the mpfwd protocol, version 1 (docs/protocol.md).
--
--   tshark -X lua_script:scripts/mpfwd.lua -r capture.pcap
--
-- Shows what stands in clear on the wire; it has no keys, verifies no tag and opens no sealed field.
-- The length of a DATA tag is not on the wire and is a preference, as are the protocol number and
-- the port of UDP and TCP. A DATA payload that is an IP packet goes to the IP dissector.

local mpfwd = Proto("mpfwd", "mpfwd multipath forwarder")
local framed = Proto("mpfwd_tcp", "mpfwd messages over TCP")

local PREAMBLE = 8
local ORDERED_PREAMBLE = 13
local TAG = 16

local TYPES = {
  [1] = "INIT", [2] = "RESP", [3] = "RETRY", [4] = "ATTACH", [5] = "CHALLENGE",
  [6] = "RESPONSE", [7] = "FEEDBACK", [8] = "CONTROL", [9] = "DATA", [10] = "RESET",
}
local CONTROLS = {
  [1] = "close", [2] = "rekey", [3] = "attached", [4] = "ping", [5] = "hello",
  [6] = "measure train", [7] = "measure request", [8] = "measure ask", [9] = "measure report",
  [10] = "link state", [11] = "PMTU probe", [12] = "PMTU answer",
}
local TRANSPORTS = { [0] = "raw", [1] = "UDP", [2] = "TCP", [255] = "none" }
local CONTROL, DATA, ORDER_BIT = 8, 9, 4
local CLOSE, HELLO, LINK_STATE, PMTU_PROBE, PMTU_ANSWER = 1, 5, 10, 11, 12
local LINK_STATES = { [0] = "unusable", [1] = "restored" }
-- A HELLO before its padding, and what it says of each transport.
local HELLO_OCTETS, SEEN_AT, SEEN_OCTETS = 52, 16, 12
-- In front of each message on TCP: its length.
local FRAME_OCTETS = 2

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
  hello_transport = ProtoField.uint8("mpfwd.hello.transport", "Sent by", base.DEC, TRANSPORTS),
  hello_ask = ProtoField.bool("mpfwd.hello.ask", "Answer at once", 8, nil, 0x01),
  hello_full = ProtoField.bool("mpfwd.hello.full", "Trial of size", 8, nil, 0x02),
  hello_carries = ProtoField.uint8("mpfwd.hello.carries", "Carries the sender's DATA", base.DEC, TRANSPORTS),
  hello_number = ProtoField.uint32("mpfwd.hello.number", "Number"),
  hello_nonce = ProtoField.uint32("mpfwd.hello.nonce", "Nonce", base.HEX),
  hello_bad_tags = ProtoField.uint16("mpfwd.hello.bad_tags", "Messages with a bad tag"),
  hello_padding = ProtoField.uint32("mpfwd.hello.padding", "Octets of padding"),
  state_link = ProtoField.uint8("mpfwd.link_state.link", "Tells of link"),
  state = ProtoField.uint8("mpfwd.link_state.state", "State", base.DEC, LINK_STATES),
  state_number = ProtoField.uint32("mpfwd.link_state.number", "Number"),
  pmtu_transport = ProtoField.uint8("mpfwd.pmtu.transport", "Path by", base.DEC, TRANSPORTS),
  pmtu_link = ProtoField.uint8("mpfwd.pmtu.link", "Path of link"),
  pmtu_search = ProtoField.uint32("mpfwd.pmtu.search", "Search"),
  pmtu_octets = ProtoField.uint16("mpfwd.pmtu.octets", "Longest message that came"),
  seen = ProtoField.none("mpfwd.hello.seen", "Seen"),
  seen_highest = ProtoField.uint32("mpfwd.hello.seen.highest", "Highest number seen"),
  seen_bitmap = ProtoField.uint32("mpfwd.hello.seen.bitmap", "Of the 32 before it", base.HEX),
  seen_echo = ProtoField.uint32("mpfwd.hello.seen.echo", "Echoed nonce", base.HEX),
  frame_length = ProtoField.uint16("mpfwd.frame_length", "Length of the message"),
}
mpfwd.fields = f

local damaged = ProtoExpert.new(
  "mpfwd.damaged", "Not a message of mpfwd version 1", expert.group.MALFORMED, expert.severity.ERROR
)
mpfwd.experts = { damaged }

mpfwd.prefs.protocol = Pref.uint("IP protocol", 253, "Protocol number of raw links")
mpfwd.prefs.port = Pref.uint("Port", 5253, "UDP and TCP port of the Remote Portal")
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

local function add_hello(tree, body)
  if body:len() < HELLO_OCTETS then
    tree:add_proto_expert_info(damaged)
    return
  end
  tree:add(f.hello_transport, body(1, 1))
  tree:add(f.hello_ask, body(2, 1))
  tree:add(f.hello_full, body(2, 1))
  tree:add(f.hello_carries, body(3, 1))
  tree:add(f.hello_number, body(4, 4))
  tree:add(f.hello_nonce, body(8, 4))
  tree:add(f.hello_bad_tags, body(12, 2))
  for transport = 0, 2 do
    local report = body(SEEN_AT + transport * SEEN_OCTETS, SEEN_OCTETS)
    local seen = tree:add(f.seen, report)
    seen:set_text("Seen by " .. TRANSPORTS[transport])
    seen:add(f.seen_highest, report(0, 4))
    seen:add(f.seen_bitmap, report(4, 4))
    seen:add(f.seen_echo, report(8, 4))
  end
  tree:add(f.hello_padding, body:len() - HELLO_OCTETS):set_generated()
end

bodies[CONTROL] = function(tree, body)
  tree:add(f.control, body(0, 1))
  local what = body(0, 1):uint()
  if what == CLOSE and body:len() >= 2 then tree:add(f.reason, body(1, 1)) end
  if what == HELLO then add_hello(tree, body) end
  if what == LINK_STATE and body:len() >= 8 then
    tree:add(f.state_link, body(1, 1))
    tree:add(f.state, body(2, 1))
    tree:add(f.state_number, body(4, 4))
  end
  if (what == PMTU_PROBE or what == PMTU_ANSWER) and body:len() >= 8 then
    tree:add(f.pmtu_transport, body(1, 1))
    tree:add(f.pmtu_search, body(4, 4))
  end
  if what == PMTU_ANSWER and body:len() >= 10 then
    tree:add(f.pmtu_link, body(2, 1))
    tree:add(f.pmtu_octets, body(8, 2))
  end
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

-- A word on what a CONTROL says, where the body is there.
local function control_name(buffer)
  if buffer:len() <= PREAMBLE + TAG then return "" end
  local name = CONTROLS[buffer(PREAMBLE, 1):uint()]
  return name and " " .. name or ""
end

function mpfwd.dissector(buffer, pinfo, root)
  if buffer:len() < PREAMBLE then return 0 end
  local kind = buffer(0, 1):bitfield(0, 4)
  local name = TYPES[kind]
  if not name then return 0 end
  pinfo.cols.protocol = "mpfwd"
  if kind == CONTROL then name = name .. control_name(buffer) end
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

-- One message behind its length. Octets of a capture that begins inside a message show as damage.
local function dissect_frame(buffer, pinfo, root)
  if buffer:len() <= FRAME_OCTETS then return buffer:len() end
  root:add(f.frame_length, buffer(0, FRAME_OCTETS))
  mpfwd.dissector(buffer(FRAME_OCTETS):tvb(), pinfo, root)
  return buffer:len()
end

local function frame_octets(buffer, _, offset)
  return FRAME_OCTETS + buffer(offset, FRAME_OCTETS):uint()
end

function framed.dissector(buffer, _, root)
  dissect_tcp_pdus(buffer, root, FRAME_OCTETS, frame_octets, dissect_frame)
  return buffer:len()
end

local registered = {}

local function register()
  if registered.protocol then
    DissectorTable.get("ip.proto"):remove(registered.protocol, mpfwd)
    DissectorTable.get("udp.port"):remove(registered.port, mpfwd)
    DissectorTable.get("tcp.port"):remove(registered.port, framed)
  end
  registered = { protocol = mpfwd.prefs.protocol, port = mpfwd.prefs.port }
  DissectorTable.get("ip.proto"):add(registered.protocol, mpfwd)
  DissectorTable.get("udp.port"):add(registered.port, mpfwd)
  DissectorTable.get("tcp.port"):add(registered.port, framed)
end

function mpfwd.prefs_changed()
  register()
end

register()
