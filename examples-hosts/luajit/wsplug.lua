-- wsplug for LuaJIT 2.1, by its ffi, with lua-cjson.
--
-- Each function of include/wsplug.h is here under its name without "wsplug_", made from the header's own declarations:
--
--   local server = wsplug.server_create({ port = 0, path = "/chat" }).ref   -- options and replies are tables
--   local port = wsplug.server_start(server).port
--   wsplug.client_send(client, wsplug.TEXT, "hello")                        -- the length goes by itself
--   wsplug.client_set_value(client, "name", "ann")
--
-- A command that failed raises a table with status, name, message and option. What C writes through a pointer is
-- returned. events() is written by hand below.
--
-- Threads: a callback from another thread would crash LuaJIT, so set none. Ask for events in your own loop:
-- events(0) in one that has other things to do, events(timeout_ms) in one that has not. LuaJIT waits in a call as a whole.
--
-- The library is found by the name that the system gives it, or by the environment's WSPLUG_LIBRARY.

local ffi = require("ffi")
local json = require("cjson")

-- --- from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header
local constants = {
  ABI_VERSION = 1,
  OK = 0,
  TIMEOUT = 1,
  INVALID_ARGUMENT = -1,
  INVALID_OPTIONS = -2,
  UNKNOWN_REF = -3,
  WRONG_STATE = -4,
  QUEUE_FULL = -5,
  TOO_LARGE = -6,
  NETWORK = -7,
  IN_CALLBACK = -8,
  FORKED = -9,
  BUFFER_TOO_SMALL = -10,
  INTERNAL = -99,
  TEXT = 1,
  BINARY = 2,
  PING = 9,
  PONG = 10,
  LOG_OFF = 0,
  LOG_ERROR = 1,
  LOG_WARN = 2,
  LOG_INFO = 3,
  LOG_DEBUG = 4,
}

local declarations = [[
typedef struct wsplug_event wsplug_event;
typedef void (WSPLUG_API *wsplug_log_callback)(int32_t level, const char *message, void *user_data);
typedef void (WSPLUG_API *wsplug_event_callback)(int32_t server, int32_t client, const char *type, const char *context,
        const char *worker, int32_t window, int32_t process, void *user_data);
typedef void (WSPLUG_API *wsplug_message_callback)(int32_t server, int32_t client, int32_t kind, const void *data,
        int32_t length, void *user_data);
typedef void (WSPLUG_API *wsplug_wakeup_callback)(void *user_data);
int32_t WSPLUG_API wsplug_init(const char *options, char **reply);
int32_t WSPLUG_API wsplug_shutdown(int32_t timeout_ms);
int32_t WSPLUG_API wsplug_info(char **reply);
int32_t WSPLUG_API wsplug_set_log_callback(int32_t level, wsplug_log_callback callback, void *user_data);
const char *WSPLUG_API wsplug_status_text(int32_t status);
void WSPLUG_API wsplug_free(char *text);
int32_t WSPLUG_API wsplug_text_copy(const char *text, char *buffer, int32_t capacity);
const char *WSPLUG_API wsplug_version(void);
int32_t WSPLUG_API wsplug_abi_version(void);
int32_t WSPLUG_API wsplug_server_create(const char *options, int32_t *server, char **reply);
int32_t WSPLUG_API wsplug_server_start(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_stop(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_send(int32_t server, int32_t kind, const void *data, int32_t length,
        const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_clear(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_clients(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_set(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_execute(int32_t server, const char *procedure, const char *params, char **reply);
int32_t WSPLUG_API wsplug_server_set_value(int32_t server, const char *key, const char *value);
int32_t WSPLUG_API wsplug_server_get_value(int32_t server, const char *key, char **value);
int32_t WSPLUG_API wsplug_server_info(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_messages(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_create(const char *options, int32_t *client, char **reply);
int32_t WSPLUG_API wsplug_client_start(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_stop(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_send(int32_t client, int32_t kind, const void *data, int32_t length, char **reply);
int32_t WSPLUG_API wsplug_client_send_with(int32_t client, int32_t kind, const void *data, int32_t length,
        const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_clear(int32_t client, char **reply);
int32_t WSPLUG_API wsplug_client_execute(int32_t client, const char *procedure, const char *params, char **reply);
int32_t WSPLUG_API wsplug_client_set_value(int32_t client, const char *key, const char *value);
int32_t WSPLUG_API wsplug_client_get_value(int32_t client, const char *key, char **value);
int32_t WSPLUG_API wsplug_client_info(int32_t client, char **reply);
int32_t WSPLUG_API wsplug_client_messages(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_find(const char *name, int32_t *client);
int32_t WSPLUG_API wsplug_client_receive(int32_t client, int32_t timeout_ms, int32_t *kind, void *buffer,
        int32_t capacity, int32_t *length);
int32_t WSPLUG_API wsplug_client_accept(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_reject(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_subscribe(int32_t client, const char *topic, char **reply);
int32_t WSPLUG_API wsplug_client_unsubscribe(int32_t client, const char *topic, char **reply);
int32_t WSPLUG_API wsplug_server_publish(int32_t server, const char *topic, int32_t kind, const void *data,
        int32_t length, const char *options, char **reply);
int32_t WSPLUG_API wsplug_set_callbacks(wsplug_event_callback on_event, wsplug_message_callback on_message,
        void *user_data);
int32_t WSPLUG_API wsplug_set_method(const char *name, wsplug_event_callback on_event,
        wsplug_message_callback on_message, void *user_data);
int32_t WSPLUG_API wsplug_event_next(int32_t timeout_ms, wsplug_event **event);
void WSPLUG_API wsplug_event_wake(void);
int32_t WSPLUG_API wsplug_event_server(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_client(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_kind(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_window(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_process(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_type(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_context(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_worker(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_method(const wsplug_event *event);
const void *WSPLUG_API wsplug_event_data(const wsplug_event *event, int32_t *length);
void WSPLUG_API wsplug_event_free(wsplug_event *event);
int32_t WSPLUG_API wsplug_pump(int32_t timeout_ms, int32_t max);
int32_t WSPLUG_API wsplug_set_wakeup(const char *options, wsplug_wakeup_callback callback, void *user_data,
        char **reply);
]]
-- --- end of what is from include/wsplug.h

local is_32_bit_windows = ffi.os == "Windows" and ffi.abi("32bit")
ffi.cdef((declarations:gsub("WSPLUG_API", is_32_bit_windows and "__stdcall" or "")))
local names = { Windows = is_32_bit_windows and "wsplug32" or "wsplug64", OSX = "libwsplug.dylib" }
local library = ffi.load(os.getenv("WSPLUG_LIBRARY") or names[ffi.os] or "libwsplug.so")

local wsplug = constants

-- The text behind a `char **`, which is freed.
local function taken(text)
  if text[0] == nil then return nil end
  local copy = ffi.string(text[0])
  library.wsplug_free(text[0])
  return copy
end

local function failed(status, reply)
  local reason = reply and reply.error or {}
  local message = reason.message or ffi.string(library.wsplug_status_text(status))
  error(setmetatable({ status = status, name = reason.name, message = message, option = reason.option },
    { __tostring = function(self) return self.message end }), 3)
end

local written_types = { ["int32_t *"] = "int32_t[1]", ["char **"] = "char *[1]", ["wsplug_event **"] = "wsplug_event *[1]" }

-- The function of Lua for one of C: see this file's first lines.
local function wrapped(name, result, parameters)
  local native = library[name]
  local tells_of_event = name:find("^wsplug_event_") and name ~= "wsplug_event_next"
  return function(...)
    local given, at, passed, written = { ... }, 0, {}, {}
    local first_written
    for position, parameter in ipairs(parameters) do
      if written_types[parameter.type] then
        local place = ffi.new(written_types[parameter.type])
        written[parameter.name], passed[position] = place, place
        first_written = first_written or parameter
      elseif parameter.name == "length" then
        passed[position] = #passed[position - 1]
      else
        at = at + 1
        passed[position] = given[at]
        if parameter.name == "options" then passed[position] = given[at] and json.encode(given[at]) end
      end
    end
    local returned = native(unpack(passed, 1, #parameters))
    local reply = written.reply and taken(written.reply)
    reply = reply and json.decode(reply)
    if result == "int32_t" and not tells_of_event and returned < 0 then failed(returned, reply) end
    if written.reply then return reply end
    if first_written then
      local place = written[first_written.name]
      if first_written.type == "char **" then return taken(place) end
      return place[0]
    end
    if result == "const char *" then return ffi.string(returned) end
    return returned
  end
end

for result, name, list in declarations:gmatch("%s*([^;]-)%s*WSPLUG_API (wsplug_[%w_]+)%((.-)%);") do
  local parameters = {}
  for kind, parameter in (list == "void" and "" or list .. ","):gmatch("%s*([^,]-)%s?([%w_]+),") do
    parameters[#parameters + 1] = { type = kind, name = parameter }
  end
  wsplug[name:sub(#"wsplug_" + 1)] = wrapped(name, result, parameters)
end

-- The events that no callback takes, until none has come for timeout_ms (negative: until event_wake).
function wsplug.events(timeout_ms)
  local pointer, length = ffi.new("wsplug_event *[1]"), ffi.new("int32_t[1]")
  return function()
    local status = library.wsplug_event_next(timeout_ms, pointer)
    if status < 0 then failed(status) end
    if status ~= wsplug.OK then return nil end
    local event = pointer[0]
    local data = library.wsplug_event_data(event, length)
    local seen = {
      server = library.wsplug_event_server(event), client = library.wsplug_event_client(event),
      type = ffi.string(library.wsplug_event_type(event)), kind = library.wsplug_event_kind(event),
      context = json.decode(ffi.string(library.wsplug_event_context(event))),
      data = length[0] > 0 and ffi.string(data, length[0]) or "",
      method = ffi.string(library.wsplug_event_method(event)), worker = ffi.string(library.wsplug_event_worker(event)),
      window = library.wsplug_event_window(event), process = library.wsplug_event_process(event),
    }
    library.wsplug_event_free(event)
    return seen
  end
end

return wsplug
