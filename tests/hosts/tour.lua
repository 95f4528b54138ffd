-- The rest of the LuaJIT wrapper: what the scenario does not use.
package.path = "luajit/?.lua;" .. package.path
local wsplug = require("wsplug")

local server = wsplug.server_create({ port = 0, worker = "me", window = 7 }).ref
local port = wsplug.server_start(server).port
local client = wsplug.client_create({ url = "ws://127.0.0.1:" .. port .. "/", name = "ann" }).ref
wsplug.client_start(client)

local opened, count = {}, 0
for event in wsplug.events(30000) do
  opened[event.server], count = event, count + 1
  if count == 2 then break end
end
local accepted = opened[server].client
assert(opened[server].type == "open" and opened[server].worker == "me" and opened[server].window == 7)

assert(wsplug.client_find("ann") == client)
wsplug.client_set_value(client, "clé", "wérté")
assert(wsplug.client_get_value(client, "clé") == "wérté" and wsplug.client_get_value(client, "x") == nil)
assert(wsplug.server_clients(server)[1] == accepted)
assert(wsplug.client_info(client).state == "open" and wsplug.info().version == wsplug.version())

local big = ("\0\1\254\255"):rep(100000)
local statuses = wsplug.server_send(server, wsplug.BINARY, big, { clients = { accepted, 999 } })
assert(statuses[1].success and not statuses[2].success)
local message = wsplug.events(30000)()
assert(message.kind == wsplug.BINARY and message.data == big)
wsplug.client_send(client, wsplug.TEXT, "")
assert(wsplug.events(30000)().data == "")

local is_done, refusal = pcall(wsplug.client_send, 999, wsplug.TEXT, "late")
assert(not is_done and refusal.status == wsplug.UNKNOWN_REF and refusal.name == "unknown_ref" and tostring(refusal):find("999"))
is_done, refusal = pcall(wsplug.client_set_value, 999, "a", "b")
assert(not is_done and refusal.status == wsplug.UNKNOWN_REF)
assert(wsplug.shutdown(30000) == wsplug.OK)
