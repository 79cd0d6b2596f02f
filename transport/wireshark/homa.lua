-- SPDX-License-Identifier: BSD-2-Clause
--
-- Wireshark dissector for Homa, as transport/wire.h defines it: IP protocol 146 over IPv4
-- and IPv6, and the TCP framing that hides Homa from network cards ("hijacked"). The first
-- packet of a message is offered to the dissector "tern" (tern.lua), if there is one.

local IPPROTO_TCP = 6
local IPPROTO_HOMA = 146
local HIJACK_FLAGS = 0x06
local HIJACK_URGENT = 0xb97d
local MAX_MESSAGE = 1000000
local ALL_ONES = 0xffffffff -- segment offset: see sequence; RESEND length: all that was sent
local COMMON_BYTES = 28
local PRIORITIES = 8
local ACKS = 5

local DATA, GRANT, RESEND, RPC_UNKNOWN, BUSY, CUTOFFS, FREEZE, NEED_ACK, ACK =
	0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18
local type_names = {
	[DATA] = "DATA", [GRANT] = "GRANT", [RESEND] = "RESEND", [RPC_UNKNOWN] = "RPC_UNKNOWN", [BUSY] = "BUSY",
	[CUTOFFS] = "CUTOFFS", [FREEZE] = "FREEZE", [NEED_ACK] = "NEED_ACK", [ACK] = "ACK",
}
-- Least bytes; RESEND's priority is absent from builds of Linux Homa without priorities.
local header_bytes = {
	[DATA] = 56, [GRANT] = 33, [RESEND] = 36, [RPC_UNKNOWN] = 28, [BUSY] = 28,
	[CUTOFFS] = 62, [FREEZE] = 28, [NEED_ACK] = 28, [ACK] = 80,
}

local homa = Proto("homa", "Homa Transport Protocol")

local f = {
	sport = ProtoField.uint16("homa.sport", "Source port"),
	dport = ProtoField.uint16("homa.dport", "Destination port"),
	sequence = ProtoField.uint32("homa.sequence", "Sequence"),
	incarnation = ProtoField.uint24("homa.incarnation", "Sender's incarnation (Tern; 0: not said)", base.HEX),
	type = ProtoField.uint8("homa.type", "Type", base.HEX, type_names),
	doff = ProtoField.uint8("homa.doff", "Data offset (ignored)", base.DEC, nil, 0xf0),
	flags = ProtoField.uint8("homa.flags", "Flags", base.HEX),
	age = ProtoField.uint16("homa.age", "Age of that incarnation, at most 65535 ms (Tern)"),
	checksum = ProtoField.uint16("homa.checksum", "Checksum (not verified)", base.HEX),
	urgent = ProtoField.uint16("homa.urgent", "Urgent", base.HEX),
	sender_id = ProtoField.uint64("homa.sender_id", "Sender's id"),
	rpc_id = ProtoField.uint64("homa.rpc_id", "RPC id"),
	from_server = ProtoField.bool("homa.from_server", "From the server"),
	hijacked = ProtoField.bool("homa.hijacked", "Hijacked TCP framing"),
	message_length = ProtoField.uint32("homa.data.message_length", "Message length"),
	incoming = ProtoField.uint32("homa.data.incoming", "Incoming without further grants"),
	cutoff_version = ProtoField.uint16("homa.data.cutoff_version", "Version of cutoffs in use"),
	retransmit = ProtoField.bool("homa.data.retransmit", "Retransmission"),
	bound_incarnation = ProtoField.uint24("homa.data.bound_incarnation",
		"Server's incarnation when the RPC began (Tern; 0: not known)", base.HEX),
	segment_offset = ProtoField.uint32("homa.data.segment_offset", "Segment offset"),
	offset = ProtoField.uint32("homa.data.offset", "Offset in the message"),
	length = ProtoField.uint32("homa.data.length", "Bytes of the message"),
	grant_offset = ProtoField.uint32("homa.grant.offset", "Bytes below this may be sent"),
	grant_priority = ProtoField.uint8("homa.grant.priority", "Priority"),
	resend_offset = ProtoField.uint32("homa.resend.offset", "Offset"),
	resend_length = ProtoField.uint32("homa.resend.length", "Length"),
	resend_priority = ProtoField.uint8("homa.resend.priority", "Priority"),
	cutoff = ProtoField.uint32("homa.cutoffs.cutoff", "Longest unscheduled message"),
	version = ProtoField.uint16("homa.cutoffs.version", "Version"),
	ack_count = ProtoField.uint16("homa.ack.count", "Finished RPCs listed"),
	ack_id = ProtoField.uint64("homa.ack.client_id", "Finished RPC"),
	ack_port = ProtoField.uint16("homa.ack.server_port", "Its server port"),
	request_in = ProtoField.framenum("homa.request_in", "Request in", base.NONE, frametype.REQUEST),
	response_in = ProtoField.framenum("homa.response_in", "Response in", base.NONE, frametype.RESPONSE),
	response_time = ProtoField.relative_time("homa.response_time", "Time from the request"),
}
local group, severity = expert.group, expert.severity
local e = {
	short = ProtoExpert.new("homa.short", "Packet shorter than its header", group.PROTOCOL, severity.ERROR),
	cut = ProtoExpert.new("homa.cut", "Header not captured in full", group.PROTOCOL, severity.NOTE),
	bad_type = ProtoExpert.new("homa.bad_type", "Unknown packet type", group.PROTOCOL, severity.ERROR),
	bad_port = ProtoExpert.new("homa.bad_port", "Port 0", group.PROTOCOL, severity.ERROR),
	bad_length = ProtoExpert.new("homa.bad_length", "Message length outside 1..1000000",
		group.PROTOCOL, severity.ERROR),
	bad_offset = ProtoExpert.new("homa.bad_offset", "No bytes, or bytes outside the message",
		group.PROTOCOL, severity.ERROR),
	retransmission = ProtoExpert.new("homa.retransmission", "Retransmission", group.SEQUENCE, severity.NOTE),
	duplicate = ProtoExpert.new("homa.duplicate", "Duplicate", group.SEQUENCE, severity.NOTE),
	resend = ProtoExpert.new("homa.resend", "Bytes or a response are missing", group.SEQUENCE, severity.NOTE),
	rpc_unknown = ProtoExpert.new("homa.rpc_unknown", "The peer does not know the RPC",
		group.SEQUENCE, severity.WARN),
}
homa.fields, homa.experts = f, e

homa.prefs.hijacked = Pref.bool("Recognize Homa in TCP segments", true,
	"Take TCP segments with SYN, RST and an urgent pointer of 0xb97d for Homa; slows all of TCP a little.")

-- ---- headers: {field, bytes} in the order of the wire; values are kept under the field's name ----

local common_layout = {
	{"sport", 2}, {"dport", 2}, {"sequence", 4}, {"incarnation", 3}, {"type", 1}, {"doff", 1}, {"flags", 1},
	{"age", 2}, {"checksum", 2}, {"urgent", 2}, {"sender_id", 8},
}
local data_layout = {
	{"message_length", 4}, {"incoming", 4}, {"ack_id", 8}, {"ack_port", 2}, {"cutoff_version", 2},
	{"retransmit", 1}, {"bound_incarnation", 3}, {"segment_offset", 4},
}
local grant_layout = {{"grant_offset", 4}, {"grant_priority", 1}}
local resend_layout = {{"resend_offset", 4}, {"resend_length", 4}, {"resend_priority", 1}}

-- A packet on its way through the functions below: tvb, pinfo, tree, and the values of its header.
-- What was not captured, or is beyond the end of a short packet, is left out and has no value.
local function add(packet, name, offset, bytes)
	if offset + bytes > packet.tvb:len() then
		return nil
	end
	local range = packet.tvb(offset, bytes)
	packet.values[name] = bytes == 8 and range:uint64() or range:uint()
	return packet.tree:add(f[name], range)
end

local function add_layout(packet, offset, layout)
	for _, field in ipairs(layout) do
		packet.items[field[1]] = add(packet, field[1], offset, field[2])
		offset = offset + field[2]
	end
end

local function generated(packet, name, value)
	return packet.tree:add(f[name], value):set_generated()
end

local function is_complete(packet)
	return packet.tvb:len() >= header_bytes[packet.values.type]
end

-- ---- requests and responses ----

-- By client, server and id: {request, response}, each {first, start, segments, received, complete, finish}.
local rpcs = {}

local function find_rpc(packet)
	local pinfo = packet.pinfo
	local sender = string.format("%s %d", pinfo.src, packet.values.sport)
	local receiver = string.format("%s %d", pinfo.dst, packet.values.dport)
	local client, server = sender, receiver
	if packet.from_server then
		client, server = receiver, sender
	end
	local key = string.format("%s %s %s", client, server, packet.id)
	rpcs[key] = rpcs[key] or {request = {segments = {}, received = 0}, response = {segments = {}, received = 0}}
	return rpcs[key]
end

-- Senders retransmit whole segments, so a segment that begins at a known offset is a known one.
local function note_segment(packet, message)
	local number, start = packet.pinfo.number, packet.pinfo.rel_ts
	message.first = message.first or number
	message.start = message.start or start
	if message.segments[packet.offset] then
		return
	end
	message.segments[packet.offset] = number
	message.received = message.received + packet.length
	if message.received >= packet.values.message_length and not message.complete then
		message.complete, message.finish = number, start
	end
end

local function to_nstime(seconds)
	local nanoseconds = math.floor(seconds * 1e9 + 0.5)
	return NSTime.new(math.floor(nanoseconds / 1e9), nanoseconds % 1e9)
end

local function show_links(packet, rpc)
	local request, response = rpc.request, rpc.response
	if not packet.from_server then
		if response.complete then
			generated(packet, "response_in", response.complete)
		end
	elseif request.first then
		generated(packet, "request_in", request.first)
		if response.complete == packet.pinfo.number then
			generated(packet, "response_time", to_nstime(response.finish - request.start))
		end
	end
end

local function show_repetition(packet, message)
	local original = message.segments[packet.offset]
	local repeats = original and original < packet.pinfo.number
	if packet.values.retransmit ~= 0 then
		local text = repeats and "Retransmission of frame " .. original or
			"Retransmission; the original is not captured"
		packet.items.retransmit:add_proto_expert_info(e.retransmission, text)
	elseif repeats then
		packet.tree:add_proto_expert_info(e.duplicate, "Same bytes as in frame " .. original)
	end
end

-- ---- packet types; each returns what the info column says after the id ----

local dissect = {}

local function check_data(packet)
	local total = packet.values.message_length
	if total == 0 or total > MAX_MESSAGE then
		packet.items.message_length:add_proto_expert_info(e.bad_length)
		return false
	end
	if packet.length == 0 or packet.offset + packet.length > total then
		packet.items.offset:add_proto_expert_info(e.bad_offset)
		return false
	end
	return true
end

dissect[DATA] = function(packet)
	local values = packet.values
	add_layout(packet, COMMON_BYTES, data_layout)
	if not is_complete(packet) then
		return ""
	end
	packet.offset, packet.length = values.segment_offset, packet.tvb:reported_len() - header_bytes[DATA]
	if packet.offset == ALL_ONES then
		packet.offset = values.sequence
		packet.items.segment_offset:append_text(" (see sequence)")
	end
	packet.items.offset = generated(packet, "offset", packet.offset)
	generated(packet, "length", packet.length)
	if check_data(packet) and not packet.quoted then
		local rpc = find_rpc(packet)
		local message = packet.from_server and rpc.response or rpc.request
		if not packet.pinfo.visited then
			note_segment(packet, message)
		end
		show_links(packet, rpc)
		show_repetition(packet, message)
	end
	local info = string.format(" [%d,%d) of %d",
		packet.offset, packet.offset + packet.length, values.message_length)
	if values.retransmit ~= 0 then
		info = info .. " retransmission"
	end
	if values.ack_id ~= UInt64(0) then
		info = string.format("%s ack=%s", info, values.ack_id)
	end
	return info
end

dissect[GRANT] = function(packet)
	add_layout(packet, COMMON_BYTES, grant_layout)
	return is_complete(packet) and
		string.format(" to %d priority %d", packet.values.grant_offset, packet.values.grant_priority) or ""
end

dissect[RESEND] = function(packet)
	local values = packet.values
	add_layout(packet, COMMON_BYTES, resend_layout)
	if not is_complete(packet) then
		return ""
	end
	packet.tree:add_proto_expert_info(e.resend)
	local priority = values.resend_priority and string.format(" priority %d", values.resend_priority) or ""
	if values.resend_length == ALL_ONES then
		packet.items.resend_length:append_text(" (all that was sent)")
		return string.format(" [%d,end)%s", values.resend_offset, priority)
	end
	return string.format(" [%d,%d)%s",
		values.resend_offset, values.resend_offset + values.resend_length, priority)
end

dissect[RPC_UNKNOWN] = function(packet)
	packet.tree:add_proto_expert_info(e.rpc_unknown)
	return ""
end

dissect[CUTOFFS] = function(packet)
	for priority = 0, PRIORITIES - 1 do
		local item = add(packet, "cutoff", COMMON_BYTES + 4 * priority, 4)
		if item then
			item:append_text(string.format(" (priority %d)", priority))
		end
	end
	add(packet, "version", COMMON_BYTES + 4 * PRIORITIES, 2)
	return is_complete(packet) and string.format(" version %d", packet.values.version) or ""
end

dissect[ACK] = function(packet)
	local values, info = packet.values, ""
	add(packet, "ack_count", COMMON_BYTES, 2)
	for i = 1, math.min(values.ack_count or 0, ACKS) do
		local offset = COMMON_BYTES + 2 + 10 * (i - 1)
		if add(packet, "ack_id", offset, 8) then
			info = string.format("%s %s", info, values.ack_id)
		end
		add(packet, "ack_port", offset + 8, 2)
	end
	return info ~= "" and string.format(" [%s]", info:sub(2)) or ""
end

-- ---- the common header ----

-- What is wrong with the packet as a whole, for the info column; nil if nothing is.
-- That ICMP quotes only the beginning of a packet is nothing wrong.
local function check_packet(packet)
	local tvb, code = packet.tvb, packet.values.type
	local least = header_bytes[code] or COMMON_BYTES
	if tvb:reported_len() < least and not packet.quoted then
		packet.tree:add_proto_expert_info(e.short, string.format("%d bytes; %s has at least %d",
			tvb:reported_len(), type_names[code] or "a Homa packet", least))
		return "short"
	end
	if tvb:len() < least then
		if not packet.quoted then
			packet.tree:add_proto_expert_info(e.cut)
		end
		return "cut off"
	end
	if not type_names[code] then
		packet.items.type:add_proto_expert_info(e.bad_type)
		return "unknown"
	end
	return nil
end

local function check_ports(packet)
	for _, name in ipairs({"sport", "dport"}) do
		if packet.values[name] == 0 and packet.values.type ~= FREEZE then
			packet.items[name]:add_proto_expert_info(e.bad_port)
		end
	end
end

local function add_common(packet)
	local values, least_bit = packet.values, UInt64(1)
	add_layout(packet, 0, common_layout)
	if values.sender_id then
		packet.from_server = values.sender_id:band(least_bit) == least_bit
		packet.id = values.sender_id:band(least_bit:bnot())
		generated(packet, "rpc_id", packet.id)
		generated(packet, "from_server", packet.from_server)
	end
	if packet.tvb:len() >= 20 and packet.pinfo.match_uint == IPPROTO_TCP then
		generated(packet, "hijacked", true)
	end
end

local data_dissector = Dissector.get("data")
local message_dissector

function homa.init()
	rpcs = {}
	message_dissector = Dissector.get("tern") or data_dissector
end

-- A dissector that refuses the message leaves it to the one for plain data.
local function dissect_payload(packet)
	local private = packet.pinfo.private
	local dissector = packet.offset == 0 and message_dissector or data_dissector
	private["homa.message_length"] = tostring(packet.values.message_length)
	private["homa.from_server"] = packet.from_server and "1" or "0"
	dissector:call(packet.tvb(header_bytes[DATA]):tvb(), packet.pinfo, packet.root)
end

function homa.dissector(tvb, pinfo, root)
	local tree = root:add(homa, tvb())
	local packet = {tvb = tvb, pinfo = pinfo, root = root, tree = tree, values = {}, items = {}}
	local values = packet.values

	packet.quoted = pinfo.in_error_pkt
	add_common(packet)
	local info = type_names[values.type] or string.format("type %s", values.type or "?")
	if packet.id then
		info = string.format("%s id=%s", info, packet.id)
	end
	local wrong = check_packet(packet)
	if not wrong then
		check_ports(packet)
	end
	if dissect[values.type] and packet.id then
		info = info .. dissect[values.type](packet)
	end
	if wrong then
		info = string.format("%s (%s)", info, wrong)
	end
	if values.dport then
		info = string.format("%d → %d %s", values.sport, values.dport, info)
	end
	tree:append_text(", " .. info)
	pinfo.cols.protocol = "Homa"
	pinfo.cols.info = info
	if not wrong and values.type == DATA and tvb:len() > header_bytes[DATA] then
		dissect_payload(packet)
	end
	return tvb:reported_len()
end

-- ---- where Homa is found ----

local ip_proto = DissectorTable.get("ip.proto")
local tcp = ip_proto:get_dissector(IPPROTO_TCP)
local homa_dissector = Dissector.get("homa")
local hijack = Proto("homa_tcp", "TCP or hijacked Homa")

-- TCP's own dissector takes a Homa header for TCP options and never asks another, so this stands before it.
function hijack.dissector(tvb, pinfo, root)
	if tvb:len() >= 20 and tvb(13, 1):uint() == HIJACK_FLAGS and tvb(18, 2):uint() == HIJACK_URGENT then
		return homa_dissector:call(tvb, pinfo, root)
	end
	-- Of a segment that was cut off TCP has told already; the error that Lua adds says nothing more.
	local ok, bytes = pcall(tcp.call, tcp, tvb, pinfo, root)
	return ok and bytes or tvb:len()
end

local function apply_preferences()
	ip_proto:add(IPPROTO_TCP, homa.prefs.hijacked and hijack or tcp)
end

homa.prefs_changed = apply_preferences
ip_proto:add(IPPROTO_HOMA, homa)
apply_preferences()
