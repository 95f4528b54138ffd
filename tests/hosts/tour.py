# The rest of the Python wrapper: what the scenario does not use.
import contextlib
import io
import os
import select
import sys
import threading

sys.path.insert(0, "python")
import wsplug


def fails(status, command, *arguments, **options):
    try:
        command(*arguments, **options)
    except wsplug.Error as error:
        assert error.status == status, error
        return error
    raise AssertionError(f"{command} did not fail")


if os.name != "nt":
    fd = wsplug.set_wakeup(fd=True)["fd"]
server = wsplug.server_create(port=0, worker="me", window=7)["ref"]
port = wsplug.server_start(server)["port"]
client = wsplug.client_create(url=f"ws://127.0.0.1:{port}/", name="ann")["ref"]
wsplug.client_start(client)
if os.name != "nt":
    assert select.select([fd], [], [], 30)[0] == [fd]

# Events, pulled.
opened = {}
for event in wsplug.events(30000):
    opened[event.server] = event
    if len(opened) == 2:
        break
accepted = opened[server].client
assert (opened[server].type, opened[server].worker, opened[server].window) == ("open", "me", 7)
assert wsplug.client_execute(accepted, "greet", '{"to":"ann"}') == {"success": True}
assert next(wsplug.events(30000)).context == {"procedure": "greet", "params": {"to": "ann"}}

# What is written through a pointer comes back.
assert wsplug.client_find("ann") == client
fails(wsplug.UNKNOWN_REF, wsplug.client_find, "bob")
wsplug.client_set_value(client, "clé", "wérté")
assert wsplug.client_get_value(client, "clé") == "wérté" and wsplug.client_get_value(client, "x") is None
assert wsplug.server_clients(server) == [accepted]
assert wsplug.client_info(client)["state"] == "open" and wsplug.info()["version"] == wsplug.version()

assert wsplug.event_next(0) is None

# Messages, one by one.
big = bytes(range(256)) * 1000
statuses = wsplug.server_send(server, wsplug.BINARY, big, clients=[accepted, 999])
assert [status["success"] for status in statuses] == [True, False]
assert wsplug.receive(client, 30000) == big and wsplug.receive(client, 1) is None
wsplug.client_send(client, wsplug.TEXT, "")
assert wsplug.receive(accepted, 30000) == ""

# A wake-up, and a callback that fails.
woken, came = threading.Event(), threading.Event()
wsplug.set_wakeup(woken.set)
wsplug.client_send(client, wsplug.TEXT, "wake")
assert woken.wait(30)
wsplug.set_wakeup()

error = fails(wsplug.UNKNOWN_REF, wsplug.client_send, 999, wsplug.TEXT, "late")
assert error.name == "unknown_ref" and "999" in str(error)
error = fails(wsplug.INVALID_OPTIONS, wsplug.server_create, port="x")
assert error.option == "port"


def on_message(server, client, kind, data):
    if data == "once more":  # "wake" comes too: it has waited for somebody
        wsplug.set_callbacks(None)  # inside the callback that it ends
        came.set()
    raise ValueError(data)


with contextlib.redirect_stderr(io.StringIO()) as caught:
    wsplug.set_callbacks(lambda *event: None, on_message)
    wsplug.client_send(client, wsplug.TEXT, "once more")
    assert came.wait(30)
    assert wsplug.shutdown(30000) == wsplug.OK  # the callback has ended
assert "ValueError: once more" in caught.getvalue(), caught.getvalue()
