-- A server that echoes and a client, with events asked for in the program's own loop.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
local wsplug = require("wsplug")

local function shown(event)
  if event.kind == wsplug.TEXT then return "text " .. event.data end
  return "binary " .. event.data:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
end

local function closed(event)
  return ("close %d %s"):format(event.context.code, event.context.reason)
end

local echo
local from_server, from_client = {}, {}

local function handle(event)
  if event.server == 0 then
    if event.type == "message" then table.insert(from_client, shown(event)) end
    if event.type == "close" then table.insert(from_client, closed(event)) end
  elseif event.server == echo then
    if event.type == "open" then
      print("server: open " .. event.context.uri)
      wsplug.client_send(event.client, wsplug.TEXT, "welcome")
    elseif event.type == "message" then
      print("server: " .. shown(event))
      wsplug.client_send(event.client, event.kind, event.data)
    elseif event.type == "close" then
      table.insert(from_server, closed(event))
    end
  end
end

-- Runs the loop until something has come.
local function take(inbox)
  local next_event = wsplug.events(30000)
  while #inbox == 0 do
    handle(assert(next_event(), "nothing came for 30 seconds"))
  end
  return table.remove(inbox, 1)
end

local function connect(port, path, options)
  options.url = "ws://127.0.0.1:" .. port .. path
  options.enableAutomaticReconnection = false
  local client = wsplug.client_create(options).ref
  wsplug.client_start(client)
  return client
end

print("interface " .. wsplug.abi_version())
local _, refusal = pcall(wsplug.server_create, { port = 80000 })
print("refused: " .. refusal.name .. ", " .. refusal.message)

echo = wsplug.server_create({ port = 0 }).ref
local client = connect(wsplug.server_start(echo).port, "/echo?name=ann", {})
print("client: " .. take(from_client))
wsplug.client_send(client, wsplug.TEXT, "Grüße, 世界")
print("client: " .. take(from_client))
wsplug.client_send(client, wsplug.BINARY, "\0\255\128\1")
print("client: " .. take(from_client))
wsplug.client_stop(client, { code = 4000, reason = "done" })
print("server: " .. take(from_server))
print("client: " .. take(from_client))

-- A server that answers no ping looks as one whose machine is gone.
local deaf = wsplug.server_create({ port = 0, enablePong = false }).ref
connect(wsplug.server_start(deaf).port, "/", { pingInterval = 0.2, pingTimeout = 0.2 })
print("client: " .. take(from_client))

print("shutdown: " .. wsplug.status_text(wsplug.shutdown(5000)))
