"""rooms_browser.py FOLDER CHAT_SERVER PAGE_FOLDER: a headless Chromium in two rooms of the chat, which wants a token.

What is said in one room is not seen in the other; a page with a wrong token and a page of another origin stay out; when the server
is started again on the same port, the pages come back by themselves, each into its room.
"""
import atexit
import json
import signal
import subprocess
import sys

from browser import REFUSED, Tab, running

TOKEN = "4711"


class Server:
    def __init__(self, program, folder, port):
        self.process = subprocess.Popen([program, str(port), folder, "{}", TOKEN], stdout=subprocess.PIPE, text=True)
        self.lines = []
        while not (line := self.process.stdout.readline()).startswith("listening on "):
            if not line:
                raise SystemExit(f"rooms_browser.py: the server has ended: {self.lines}")
            self.lines.append(line)
        self.port = int(line.rstrip("/\n").rpartition(":")[2])

    def end(self):
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=30)
        expect("the server's end", (self.process.returncode, rest.splitlines()[-1]), (0, "ended"))
        return self.lines + rest.splitlines()


def expect(what, seen, expected):
    if seen != expected:
        raise SystemExit(f"rooms_browser.py: {what}: {seen} instead of {expected}")


def sees(tab, text):
    return tab.run(f"messages.textContent.includes({json.dumps(text)})")


def is_refused(tab, url, answer):
    """A WebSocket of this tab's page does not open, and the browser says why."""
    tab.call("Network.enable")
    expect(url, tab.run(REFUSED.replace("URL", json.dumps(url))), [1006, False])
    error = tab.browser.event("Network.webSocketFrameError")["errorMessage"]
    expect(url, error.rpartition(": ")[2], answer)


def rooms(anna, cleo, ben):
    """Anna and Cleo are in one room, Ben is in another."""
    anna.say("Anna", "Who cooks?")
    cleo.wait_for_text("Who cooks?")
    ben.say("Ben", "Who mows?")
    ben.wait_for_text("Who mows?")
    cleo.say("Cleo", "I do")
    anna.wait_for_text("I do")
    # All that was said has been passed on by now, as one server calls back one event at a time.
    expect("what Ben sees", [sees(ben, text) for text in ("Who cooks?", "I do")], [False, False])
    expect("what Anna sees of Ben's", sees(anna, "Who mows?"), False)
    expect("those whom Ben has seen come", ben.run("messages.textContent.match(/joined, \\d+/g)"), ["joined, 1"])


folder, program, pages = sys.argv[1:]
server = Server(program, pages, 0)
# Whatever fails, no server is left behind.
atexit.register(lambda: server.process.kill())
host = f"127.0.0.1:{server.port}"
with running(folder) as browser:
    page = f"http://{host}/?token={TOKEN}"
    anna, cleo, ben = Tab(browser), Tab(browser), Tab(browser)
    for tab, room in [(anna, "kitchen"), (cleo, "kitchen"), (ben, "garden")]:
        tab.open_chat(f"{page}#{room}")
    rooms(anna, cleo, ben)

    stranger = Tab(browser)
    stranger.call("Page.navigate", url=f"http://{host}/?token=1147#kitchen")
    stranger.wait_for("state.textContent.startsWith('not connected, next try')")
    is_refused(stranger, f"ws://{host}/kitchen?token=1147", "HTTP Authentication failed; no valid credentials available")
    browser.call("Target.closeTarget", targetId=stranger.target)
    # The same page by another name is another origin.
    other = Tab(browser)
    other.open_chat(f"http://localhost:{server.port}/?token={TOKEN}#kitchen")
    browser.events.clear()
    is_refused(other, f"ws://{host}/kitchen?token={TOKEN}", "403")
    browser.call("Target.closeTarget", targetId=other.target)
    cleo.wait_for("/left, 2 here/.test(messages.textContent)")

    told = server.end()
    expect("whom it has let in", sum(line.startswith("open ") for line in told), 4)
    for tab in (anna, cleo, ben):
        tab.wait_for("state.textContent.startsWith('not connected, next try')")
    server = Server(program, pages, server.port)
    for tab in (anna, cleo, ben):
        tab.run("messages.replaceChildren()")
    for tab in (anna, cleo, ben):
        tab.wait_for("state.textContent === 'connected'")
    anna.say("Anna", "Here again?")
    cleo.wait_for_text("Here again?")
    ben.say("Ben", "So am I")
    ben.wait_for_text("So am I")
    expect("what Ben sees", sees(ben, "Here again?"), False)
told = server.end()
expect("who came back", sum(line.startswith("open ") for line in told), 3)
print("rooms_browser.py: two rooms, two refusals and a restart")
