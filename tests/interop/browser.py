"""browser.py URL FOLDER [COMMAND...]: two tabs of a headless Chromium open the chat page at URL and talk to each other.

COMMAND, another guest of the chat, runs meanwhile; both tabs must show its last argument, which it says there. One tab is closed at the
end, and the other one must show that; then its picture goes to FOLDER/chat.png. Chromium is spoken to through
--remote-debugging-pipe (JSON messages that end with a NUL byte), which needs nothing but Python.
"""
import base64
import itertools
import json
import os
import subprocess
import sys

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --remote-debugging-pipe --window-size=900,640""".split()


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
        self.ids = itertools.count(1)

    def call(self, method, session=None, **params):
        command = {"id": next(self.ids), "method": method, "params": params}
        if session:
            command["sessionId"] = session
        os.write(self.to_browser, json.dumps(command).encode() + b"\0")
        while True:
            answer = json.loads(self.next_message())
            if answer.get("id") == command["id"]:
                if "error" in answer:
                    raise SystemExit(f"browser.py: {method}: {answer['error']}")
                return answer["result"]

    def next_message(self):
        while b"\0" not in self.received:
            part = os.read(self.from_browser, 1 << 20)
            if not part:
                raise SystemExit("browser.py: Chromium has ended")
            self.received += part
        message, self.received = self.received.split(b"\0", 1)
        return message


class Tab:
    def __init__(self, browser, url):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        browser.call("Page.navigate", self.session, url=url)
        self.wait_for("document.readyState === 'complete' && state.textContent === 'connected'")

    def run(self, expression):
        result = self.browser.call("Runtime.evaluate", self.session, expression=expression, awaitPromise=True, returnByValue=True)
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


def talk(url, folder, command):
    browser = Browser(folder)
    try:
        anna, ben = Tab(browser, url), Tab(browser, url)
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
        picture = browser.call("Page.captureScreenshot", anna.session)["data"]
        with open(f"{folder}/chat.png", "wb") as file:
            file.write(base64.b64decode(picture))
        browser.call("Browser.close")
    finally:
        browser.process.terminate()
        browser.process.wait()


url, folder, *command = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
talk(url, folder, command)
print("browser.py: both tabs got every message, and the one that stayed saw the other leave")
