"""secure_browser.py URL FOLDER believed|refused: what a headless Chromium makes of the chat server's certificate.

It knows the authorities in $HOME/.pki/nssdb. Where it believes the server at URL, the chat page opens, and another WebSocket in it
exchanges messages of all sizes, compressed, and closes with a code. Where it does not, neither opens.
"""
import json
import sys

from browser import REFUSED, Tab, running

# Each message must come back as it was; what the chat tells about its guests is none of them.
EXCHANGE = """(async () => {
    const socket = new WebSocket(URL), happens = (what) => new Promise((resolve) => socket.addEventListener(what, resolve));
    socket.binaryType = 'arraybuffer';
    await happens('open');
    const noise = new Uint8Array(1 << 20);
    for (let at = 0; at < noise.length; at += 65536) crypto.getRandomValues(noise.subarray(at, at + 65536));
    const sent = ['Grüße 👋', Uint8Array.of(0, 128, 255), 'as long as it is dull. '.repeat(50000).slice(0, 1 << 20), noise];
    const back = [];
    for (const message of sent) {
        socket.send(message);
        let data;
        do ({ data } = await happens('message')); while (typeof data === 'string' && data.startsWith('* '));
        const bytes = data instanceof ArrayBuffer && new Uint8Array(data);
        const same = bytes ? bytes.length === message.length && bytes.every((byte, at) => byte === message[at]) : data === message;
        back.push([bytes ? 'binary' : 'text', message.length, same]);
    }
    const closed = happens('close');
    socket.close(4001, 'done');
    const { code, reason, wasClean } = await closed;
    return { extensions: socket.extensions, back, close: [code, reason, wasClean] };
})()"""
UNKNOWN_AUTHORITY = "net::ERR_CERT_AUTHORITY_INVALID"


def expect(what, seen, expected):
    if seen != expected:
        raise SystemExit(f"secure_browser.py: {what}: {seen} instead of {expected}")


def believed(browser, page, url):
    tab = Tab(browser)
    tab.open_chat(page)
    seen = tab.run(EXCHANGE.replace("URL", url))
    expect("extensions", seen["extensions"], "permessage-deflate")
    sizes = [("text", 8), ("binary", 3), ("text", 1 << 20), ("binary", 1 << 20)]
    expect("what came back", seen["back"], [[kind, size, True] for kind, size in sizes])
    # The server answers with the same code, and keeps the reason to itself.
    expect("the close", seen["close"], [4001, "", True])


def refused(browser, page, url):
    expect("the page", Tab(browser).call("Page.navigate", url=page).get("errorText"), UNKNOWN_AUTHORITY)
    tab = Tab(browser)
    tab.call("Network.enable")
    expect("the WebSocket", tab.run(REFUSED.replace("URL", url)), [1006, False])
    error = browser.event("Network.webSocketFrameError")["errorMessage"]
    expect("the WebSocket's error", error.rpartition(" ")[2], UNKNOWN_AUTHORITY)


page, folder, outcome = sys.argv[1:]
with running(folder) as browser:
    {"believed": believed, "refused": refused}[outcome](browser, page, json.dumps(page.replace("http", "ws", 1)))
print(f"secure_browser.py: the server was {outcome}")
