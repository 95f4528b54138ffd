"""A server that echoes and a client, with callbacks on the library's thread."""

import queue
import sys

import wsplug


def shown(kind, data):
    return f"text {data}" if kind == wsplug.TEXT else f"binary {data.hex()}"


from_server, from_client = queue.Queue(), queue.Queue()


def on_event(server, client, type, context):
    if server == echo and type == "open":
        print("server: open", context["uri"])
        wsplug.client_send(client, wsplug.TEXT, "welcome")
    elif server == echo and type == "close":
        from_server.put(f"close {context['code']} {context['reason']}")
    elif server == 0 and type == "close":
        from_client.put(f"close {context['code']} {context['reason']}")


def on_message(server, client, kind, data):
    if server == 0:
        from_client.put(shown(kind, data))
    elif server == echo:
        print("server:", shown(kind, data))
        wsplug.client_send(client, kind, data)


def connect(port, path, **options):
    client = wsplug.client_create(url=f"ws://127.0.0.1:{port}{path}", enableAutomaticReconnection=False, **options)["ref"]
    wsplug.client_start(client)
    return client


sys.stdout.reconfigure(encoding="utf-8")
print("interface", wsplug.abi_version())
try:
    wsplug.server_create(port=80000)
except wsplug.Error as error:
    print(f"refused: {error.name}, {error}")

wsplug.set_callbacks(on_event, on_message)
echo = wsplug.server_create(port=0)["ref"]
client = connect(wsplug.server_start(echo)["port"], "/echo?name=ann")
print("client:", from_client.get(timeout=30))
wsplug.client_send(client, wsplug.TEXT, "Grüße, 世界")
print("client:", from_client.get(timeout=30))
wsplug.client_send(client, wsplug.BINARY, b"\x00\xff\x80\x01")
print("client:", from_client.get(timeout=30))
wsplug.client_stop(client, code=4000, reason="done")
print("server:", from_server.get(timeout=30))
print("client:", from_client.get(timeout=30))

# A server that answers no ping looks as one whose machine is gone.
deaf = wsplug.server_create(port=0, enablePong=False)["ref"]
connect(wsplug.server_start(deaf)["port"], "/", pingInterval=0.2, pingTimeout=0.2)
print("client:", from_client.get(timeout=30))

print("shutdown:", wsplug.status_text(wsplug.shutdown(5000)))
