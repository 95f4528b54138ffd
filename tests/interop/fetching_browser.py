"""fetching_browser.py PAGE FOLDER LISTED ANY OTHER: what a page in a headless Chromium may fetch from servers of other origins.

LISTED allows the page's origin, ANY every one, OTHER another one only. The page's own server allows none, and needs to allow none.
"""
import json
import sys

from browser import Tab, running

# Status, text and what the page can see of the headers; or that nothing was to be had.
FETCH = """(async (url, options) => {
    try {
        const answer = await fetch(url, options);
        return [answer.status, await answer.text(), answer.headers.get('Content-Range'), answer.headers.get('ETag') !== null];
    } catch (error) {
        return error.name;
    }
})(...GIVEN)"""


def expect(what, seen, expected):
    if seen != expected:
        raise SystemExit(f"fetching_browser.py: {what}: {seen} instead of {expected}")


page, folder, listed, every, other = sys.argv[1:]
with running(folder) as browser:
    tab = Tab(browser)
    tab.call("Page.navigate", url=page)
    tab.wait_for("document.readyState === 'complete' && document.body.innerText === 'hello'")

    def fetch(url, **options):
        return tab.run(FETCH.replace("GIVEN", json.dumps([url, options])))

    for server in [page.rstrip("/"), listed, every]:
        expect(server, fetch(server + "/digits"), [200, "0123456789", None, True])
        # A header that makes the browser ask first, by OPTIONS.
        part = fetch(server + "/digits", headers={"Range": "bytes=2-4", "X-Requested-With": "page"})
        expect(f"a part from {server}", part, [206, "234", "bytes 2-4/10", True])
    for server in [listed, every]:
        expect("health", fetch(server + "/health")[:2], [200, "ok\n"])
        expect("nothing", fetch(server + "/nothing")[0], 404)
        expect("metrics without a token", fetch(server + "/metrics")[0], 401)
        status, text, *_ = fetch(server + "/metrics", headers={"Authorization": "Bearer token"})
        expect("metrics", (status, "wsplug_clients" in text), (200, True))
        expect("a POST", fetch(server + "/digits", method="POST", body="x")[:1], "T")
    for path in ["/digits", "/health", "/metrics"]:
        expect(f"{path} of the other", fetch(other + path), "TypeError")
        expect(f"{path} of the other, asked first", fetch(other + path, headers={"X-A": "b"}), "TypeError")
print("fetching_browser.py: the page read what it may")
