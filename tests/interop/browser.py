"""browser.py URL FOLDER [COMMAND...]: two tabs of a headless Chromium open the chat page at URL and talk to each other.

COMMAND, another guest of the chat, runs meanwhile; both tabs must show its last argument, which it says there. One tab is closed at the
end, and the other one must show that; then its picture goes to FOLDER/chat.png. Chromium is spoken to through
--remote-debugging-pipe (JSON messages that end with a NUL byte), which needs nothing but Python.
"""
import base64
import contextlib
import itertools
import json
import os
import select
import subprocess
import sys

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --remote-debugging-pipe --window-size=900,640""".split()

# Seconds for one answer, on a machine that is busy with other tests too.
PATIENCE = 90

# A WebSocket of a page that must not open; the page is told no more than how it closed.
REFUSED = """new Promise((resolve) => {
    const socket = new WebSocket(URL);
    socket.onopen = () => resolve('open');
    socket.onclose = ({ code, wasClean }) => resolve([code, wasClean]);
})"""


class Browser:
    def __init__(self, folder):
        commands, self.to_browser = os.pipe()
        self.from_browser, answers = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; the shell puts them there.
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec chromium "$@" 3<&{commands} 4>&{answers}', "sh", *FLAGS, f"--user-data-dir={folder}/profile"],
            pass_fds=[commands, answers], stderr=open(f"{folder}/chromium.log", "w"), stdout=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.received = b""
        self.events = []
        self.ids = itertools.count(1)

    def call(self, method, session=None, **params):
        command = {"id": next(self.ids), "method": method, "params": params}
        if session:
            command["sessionId"] = session
        os.write(self.to_browser, json.dumps(command).encode() + b"\0")
        while (answer := json.loads(self.next_message())).get("id") != command["id"]:
            self.events.append(answer)
        if "error" in answer:
            raise SystemExit(f"browser.py: {method}: {answer['error']}")
        return answer["result"]

    def event(self, method):
        """What the next such event tells."""
        while True:
            event = self.events.pop(0) if self.events else json.loads(self.next_message())
            if event["method"] == method:
                return event["params"]

    def next_message(self):
        while b"\0" not in self.received:
            if not select.select([self.from_browser], [], [], PATIENCE)[0]:
                raise SystemExit("browser.py: Chromium says nothing any more")
            part = os.read(self.from_browser, 1 << 20)
            if not part:
                raise SystemExit("browser.py: Chromium has ended")
            self.received += part
        message, self.received = self.received.split(b"\0", 1)
        return message


class Tab:
    def __init__(self, browser):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def open_chat(self, url):
        failure = self.call("Page.navigate", url=url).get("errorText")
        if failure:
            raise SystemExit(f"browser.py: {url}: {failure}")
        self.wait_for("document.readyState === 'complete' && state.textContent === 'connected'")

    def run(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"browser.py: {expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, condition):
        """Asks the page itself, which looks whenever something has changed in it."""
        seen = self.run(f"""new Promise((resolve) => {{
            const look = () => {{ try {{ if ({condition}) resolve(true); }} catch (notThereYet) {{}} }};
            new MutationObserver(look).observe(document, {{ subtree: true, childList: true, characterData: true }});
            addEventListener('load', look);
            setTimeout(resolve, 20000, false);
            look();
        }})""")
        if not seen:
            raise SystemExit(f"browser.py: waited in vain for {condition} in: {self.run('document.body.innerText')}")

    def say(self, name, text):
        self.run(f"name.value = {json.dumps(name)}; text.value = {json.dumps(text)}; form.requestSubmit()")

    def wait_for_text(self, text):
        self.wait_for(f"messages.textContent.includes({json.dumps(text)})")


@contextlib.contextmanager
def running(folder):
    """A Chromium that ends with the block."""
    os.makedirs(folder, exist_ok=True)
    browser = Browser(folder)
    try:
        yield browser
        browser.call("Browser.close")
    finally:
        browser.process.terminate()
        browser.process.wait()


def talk(url, folder, command):
    with running(folder) as browser:
        anna, ben = Tab(browser), Tab(browser)
        anna.open_chat(url)
        ben.open_chat(url)
        anna.say("Anna", "Hello <b>Ben</b> 👋")
        ben.wait_for_text("Hello <b>Ben</b> 👋")
        ben.say("Ben", "Grüße zurück!")
        anna.wait_for_text("Grüße zurück!")
        if command:
            subprocess.run(command, check=True)
            anna.wait_for_text(command[-1])
            ben.wait_for_text(command[-1])
        browser.call("Target.closeTarget", targetId=ben.target)
        anna.wait_for("/guest \\d+ left, 1 here/.test(messages.textContent)")
        picture = anna.call("Page.captureScreenshot")["data"]
        with open(f"{folder}/chat.png", "wb") as file:
            file.write(base64.b64decode(picture))


if __name__ == "__main__":
    url, folder, *command = sys.argv[1:]
    talk(url, folder, command)
    print("browser.py: both tabs got every message, and the one that stayed saw the other leave")
