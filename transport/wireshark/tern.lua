-- SPDX-License-Identifier: BSD-2-Clause
--
-- Wireshark dissector for the header that Tern's RPC runtime puts before the body of every
-- message, as rpc/rpc_wire.h defines it. homa.lua offers it the first packet of a message;
-- nothing on the wire says that a message is Tern's, so what does not look like it is refused.

local VERSION = 1
local REQUEST, RESPONSE = 1, 2
local HEADER_BYTES = 24
local TIMEOUT_LARGEST = 0xffffffff
local STATUS_LAST = 16

local kind_names = {[REQUEST] = "REQUEST", [RESPONSE] = "RESPONSE"}
local status_names = {
	[0] = "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

local tern = Proto("tern", "Tern RPC")
local f = {
	version = ProtoField.uint8("tern.version", "Version"),
	kind = ProtoField.uint8("tern.kind", "Kind", base.DEC, kind_names),
	status = ProtoField.uint8("tern.status", "Status", base.DEC, status_names),
	flags = ProtoField.uint8("tern.flags", "Flags", base.HEX),
	metadata_length = ProtoField.uint16("tern.metadata_length", "Metadata length"),
	reserved = ProtoField.uint16("tern.reserved", "Reserved", base.HEX),
	method = ProtoField.uint64("tern.method", "Method", base.HEX),
	method_name = ProtoField.string("tern.method_name", "Method name"),
	timeout_us = ProtoField.uint32("tern.timeout_us", "Time left (us)"),
	incarnation = ProtoField.uint32("tern.incarnation", "Incarnation of the server", base.HEX),
	metadata = ProtoField.bytes("tern.metadata", "Metadata"),
	body_length = ProtoField.uint32("tern.body_length", "Body length"),
	body = ProtoField.bytes("tern.body", "Body, as far as it is in this packet"),
	text = ProtoField.string("tern.text", "Status text"),
}
tern.fields = f
tern.prefs.enabled = Pref.bool("Recognize Tern's header in Homa messages", true,
	"Messages whose first 24 bytes are a plausible header are shown as Tern's.")
tern.prefs.methods = Pref.string("Method names", "",
	"The methods to show by name, such as: demo.Greeter/Hello demo.Store/Get")
tern.prefs.protobuf = Pref.bool("Show bodies as protobuf", true,
	"Field by field, without names; only bodies that are whole in one packet.")

-- ---- method names, by their hash: FNV-1a of "/package.Service/Method" ----

local names = {}

local function hash(name)
	local value, prime = UInt64(0x84222325, 0xcbf29ce4), UInt64(0x1b3, 0x100)
	for i = 1, #name do
		value = value:bxor(UInt64(name:byte(i))) * prime
	end
	return value
end

local function learn_names()
	names = {}
	for name in tern.prefs.methods:gmatch("[^%s,;]+") do
		name = name:gsub("^/", "")
		names[hash("/" .. name):tohex()] = name
	end
end

tern.init = learn_names

-- ---- the header ----

local function is_plausible(tvb, message_length, from_server)
	if tvb:len() < HEADER_BYTES or tvb(0, 1):uint() ~= VERSION then
		return false
	end
	local kind, status = tvb(1, 1):uint(), tvb(2, 1):uint()
	local metadata_length, reserved = tvb(4, 2):uint(), tvb(6, 2):uint()
	return kind == (from_server and RESPONSE or REQUEST) and (from_server or status == 0) and
		status <= STATUS_LAST and reserved == 0 and HEADER_BYTES + metadata_length <= message_length
end

local function add_header(tree, tvb)
	tree:add(f.version, tvb(0, 1))
	tree:add(f.kind, tvb(1, 1))
	tree:add(f.status, tvb(2, 1))
	tree:add(f.flags, tvb(3, 1))
	tree:add(f.metadata_length, tvb(4, 2))
	tree:add(f.reserved, tvb(6, 2))
	tree:add(f.method, tvb(8, 8))
	local name = names[tvb(8, 8):uint64():tohex()]
	if name then
		tree:add(f.method_name, name):set_generated()
	end
	local timeout = tree:add(f.timeout_us, tvb(16, 4))
	if tvb(16, 4):uint() == 0 then
		timeout:append_text(" (no limit)")
	elseif tvb(16, 4):uint() == TIMEOUT_LARGEST then
		timeout:append_text(" (or more)")
	end
	tree:add(f.incarnation, tvb(20, 4))
	return name or "0x" .. tvb(8, 8):uint64():tohex()
end

-- What follows the header, of which the packet may have only a part.
local function add_body(tree, tvb, pinfo, root, message_length)
	local metadata_length, status = tvb(4, 2):uint(), tvb(2, 1):uint()
	local start = math.min(HEADER_BYTES + metadata_length, tvb:len())
	if start > HEADER_BYTES then
		tree:add(f.metadata, tvb(HEADER_BYTES, start - HEADER_BYTES))
	end
	tree:add(f.body_length, message_length - HEADER_BYTES - metadata_length):set_generated()
	if start == tvb:len() then
		return
	end
	if status ~= 0 then
		tree:add(f.text, tvb(start))
		return
	end
	tree:add(f.body, tvb(start))
	local protobuf = Dissector.get("protobuf")
	if tern.prefs.protobuf and protobuf and tvb:len() == message_length then
		-- A body that is no protobuf makes an error for Lua of what is in the tree already.
		pcall(protobuf.call, protobuf, tvb(start):tvb(), pinfo, root)
	end
end

function tern.dissector(tvb, pinfo, root)
	local message_length = tonumber(pinfo.private["homa.message_length"])
	local from_server = pinfo.private["homa.from_server"] == "1"
	if not tern.prefs.enabled or not message_length or not is_plausible(tvb, message_length, from_server) then
		return 0
	end
	local tree = root:add(tern, tvb())
	local method = add_header(tree, tvb)
	local info = string.format("%s %s", kind_names[tvb(1, 1):uint()], method)
	if from_server then
		info = string.format("%s %s", info, status_names[tvb(2, 1):uint()])
	end
	tree:append_text(", " .. info)
	info = string.format("%s %s", pinfo.cols.info, info)
	add_body(tree, tvb, pinfo, root, message_length)
	pinfo.cols.protocol = "Tern" -- after the body, whose dissector writes into both columns
	pinfo.cols.info = info
	return tvb:reported_len()
end
