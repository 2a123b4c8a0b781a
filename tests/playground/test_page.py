"""The page as it is loaded: where from, how much, under which policy, in which theme. Checks 1, 2, 3, 34, 37, 38."""

from __future__ import annotations

import re
from importlib.resources import files

import httpx
import pytest
from playwright.sync_api import expect

STATIC = files("puna.playground") / "static"
POSTS = ("/api/anatomy", "/api/lint", "/api/generate", "/api/compare", "/api/export")
TALK = {"messages": [{"role": "user", "content": "Hi"}]}


def test_check_1_everything_comes_from_the_server_and_no_other_host_is_needed(served, opened):
    playground = opened(served, path=None)
    playground.page.context.route(lambda url: not url.startswith(served.url), lambda route: route.abort())
    playground.open()
    expect(playground.send("Tell me a story")).to_be_visible()
    names = playground.page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert names
    assert all(name.startswith(served.url + "/") for name in names)


def test_check_2_the_page_is_small(playground):
    """With what it fetches a moment later, lest it is wanted when the server is away."""
    playground.until(lambda: any(request.url.endswith("/sessions.js") for request in playground.requests))
    playground.page.wait_for_load_state("networkidle")
    sizes = playground.page.evaluate(
        "['navigation', 'resource'].flatMap(type => performance.getEntriesByType(type)).map(entry => [entry.name, entry.transferSize])"
    )
    assert sum(size for _, size in sizes) < 150_000, sorted(sizes, key=lambda entry: -entry[1])
    assert len(playground.requests) < 25, [request.url for request in playground.requests]
    assert len(sizes) <= len(playground.requests)


def test_check_3_the_policy_is_strict_and_files_say_what_they_are(served):
    page = served.http.get("/")
    policy = page.headers["content-security-policy"]
    for rule in ("default-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert page.headers["content-type"].startswith("text/html")
    for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        answer = served.http.get(link)
        assert answer.status_code == 200, link
        assert answer.headers["x-content-type-options"] == "nosniff"
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[link.rpartition(".")[2]]
        assert answer.headers["content-type"].startswith(kind), link


def test_check_3_the_console_would_tell_of_a_violation(playground):
    """The other tests assert that it is silent; this one that it would not be."""
    playground.page.evaluate("document.body.setAttribute('style', 'color: red')")
    playground.page.evaluate(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:9/x'}))"
    )
    playground.page.wait_for_timeout(50)
    assert any("Content Security Policy" in text for text in playground.problems)
    assert any("style" in text for text in playground.problems)
    playground.problems.clear()
    playground.requests.clear()


@pytest.mark.parametrize(
    "name", sorted(entry.name for entry in STATIC.iterdir() if entry.name.endswith((".js", ".html")))
)
def test_check_3_nothing_of_the_page_needs_more_than_the_policy(name):
    text = (STATIC / name).read_text()
    for wrong in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        ' style="',
        "EventSource",
        "WebSocket",
    ):
        assert wrong not in text, wrong
    assert not re.search(r"\bon\w+=", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_check_34_the_theme_follows_the_system_until_it_is_toggled(served, opened, scheme):
    playground = opened(served, color_scheme=scheme)
    page, other = playground.page, {"light": "dark", "dark": "light"}[scheme]
    assert shade(page) == scheme
    page.emulate_media(color_scheme=other)
    assert shade(page) == other
    page.emulate_media(color_scheme=scheme)
    toggle(playground, other)
    assert shade(page) == other
    page.emulate_media(color_scheme=other)
    assert shade(page) == other
    page.emulate_media(color_scheme=scheme)
    page.add_init_script(RECORD)
    playground.reload()
    assert shade(page) == other
    seen = page.evaluate("window.seen")
    assert seen
    assert set(seen) == {other}, "the other theme was to be seen while the page was loaded"


def test_check_34_the_theme_can_be_given_back_to_the_system(served, opened):
    playground = opened(served, color_scheme="light")
    toggle(playground, "dark")
    for _ in range(3):
        playground.button("Theme").click()
        if playground.page.evaluate("document.documentElement.dataset.theme ?? 'auto'") == "auto":
            break
    playground.page.emulate_media(color_scheme="dark")
    assert shade(playground.page) == "dark"
    playground.page.emulate_media(color_scheme="light")
    assert shade(playground.page) == "light"


def toggle(playground, wanted):
    """Press the button until the theme is the wanted one, whatever it begins with."""
    for _ in range(3):
        playground.button("Theme").click()
        if playground.page.evaluate("document.documentElement.dataset.theme") == wanted:
            return
    raise AssertionError(f"the button never came to {wanted}")


def shade(page):
    """Whether the page is light or dark, by the colour behind it."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return "light" if int(re.findall(r"\d+", colour)[0]) > 128 else "dark"


RECORD = """
window.seen = [];
const look = () => {
  if (document.body && window.seen.length < 60) {
    const red = Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]);
    if (getComputedStyle(document.documentElement).getPropertyValue("--bg")) window.seen.push(red > 128 ? "light" : "dark");
  }
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_check_37_what_is_not_json_is_refused(served, path, kind):
    answer = served.http.post(path, content=b"{}", headers={"content-type": kind} if kind else {})
    assert answer.status_code == 415
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/info", "/api/sessions"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
def test_check_37_a_foreign_host_is_refused(served, path, host):
    """A name that an attacker lets resolve to this machine (DNS rebinding)."""
    assert served.http.get(path, headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost.evil.example"]
)
@pytest.mark.parametrize("path", POSTS)
def test_check_37_a_foreign_origin_is_refused(served, path, origin):
    assert served.http.post(path, json=TALK, headers={"origin": origin}).status_code == 403


def test_check_37_a_foreign_page_can_neither_save_nor_delete(served):
    session = {"origin": "http://evil.example"}
    assert served.http.put("/api/sessions/a", json={}, headers=session).status_code == 403
    assert served.http.delete("/api/sessions/a", headers=session).status_code == 403


def test_check_37_the_servers_own_names_are_not_foreign(served):
    port = httpx.URL(served.url).port
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        answer = served.http.post("/api/anatomy", json=TALK, headers={"host": host, "origin": f"http://{host}"})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["anatomy.js", "tokens.js"])
def test_check_38_the_shared_modules_import_nothing(name):
    """That they mount under anywidget is tested in test_widget.py."""
    text = (STATIC / name).read_text()
    assert not re.search(r"^\s*(import\b|export\s.*\bfrom\b)|\bimport\(", text, re.MULTILINE)
    assert re.search(r"export default \{\s*render|export default \{ render", text)
