"""The site builds without a warning, loads nothing from another host, and its links lead to places that are there."""

import functools
import http.server
import importlib.util
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.playground.browser import CHROMIUM

from .pages import DOCS, PAGES, ROOT

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
          "track": "src", "input": "src", "object": "data", "link": "href", "use": "href", "image": "href"}  # fmt: skip
"""What a browser fetches by itself, without a click."""


class Seen(HTMLParser):
    """What a page loads, what it links to, and the places in it."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked, self.places, self.styles = [], [], set(), []
        self._style = False

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag in LOADED and found.get(LOADED[tag]):
            self.loaded.append(found[LOADED[tag]])
        self.loaded += [part.split()[0] for part in (found.get("srcset") or "").split(",") if part.strip()]
        if tag == "a" and found.get("href"):
            self.linked.append(found["href"])
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        self.styles.append(found.get("style") or "")
        self._style = tag == "style"

    def handle_data(self, data):
        if self._style:
            self.styles.append(data)

    def handle_endtag(self, tag):
        self._style = False


def foreign(address):
    return urlsplit(address).scheme in {"http", "https"} or address.startswith("//")


def fetched_by(styles):
    return re.findall(r"(?:url\(\s*['\"]?|@import\s+['\"])([^'\")\s]+)", styles)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if any(importlib.util.find_spec(name) is None for name in ("sphinx", "myst_nb", "furo")):
        pytest.skip("sphinx, myst-nb and furo are not installed: pip install --group docs")
    built = tmp_path_factory.mktemp("site")
    words = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-d",
        built / "trees",
        DOCS,
        built / "html",
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built / "html"


@pytest.fixture(scope="module")
def pages(site):
    found = {}
    for file in site.rglob("*.html"):
        found[file] = Seen()
        found[file].feed(file.read_text(encoding="utf-8"))
    return found


def test_every_page_and_notebook_is_in_it(site):
    for page in PAGES:
        if page.is_relative_to(DOCS):
            assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file(), page
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert (site / "notebooks" / f"{notebook.stem}.html").is_file(), notebook


def test_nothing_is_loaded_from_another_host(site, pages):
    for file, seen in pages.items():
        assert not [address for address in seen.loaded if foreign(address)], file
        assert not [address for address in fetched_by("\n".join(seen.styles)) if foreign(address)], file
    for file in site.rglob("*.css"):
        assert not [address for address in fetched_by(file.read_text(encoding="utf-8")) if foreign(address)], file


def test_what_is_loaded_is_there(pages):
    for file, seen in pages.items():
        for address in seen.loaded:
            parts = urlsplit(address)
            if parts.path and not parts.scheme:
                assert (file.parent / unquote(parts.path)).is_file(), f"{file}: {address}"


def test_links_lead_to_places_that_are_there(pages):
    """``python docs/generate.py`` anchors and those of headings included; those of the theme's own too."""
    for file, seen in pages.items():
        for address in seen.linked:
            parts = urlsplit(address)
            if parts.scheme or address == "#":
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            assert target.is_file(), f"{file}: {address}"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in pages[target].places, f"{file}: {address}"


def test_the_changelog_and_the_house_are_pages_of_it(site):
    for name, part in (("changelog", "0.1.0"), ("contributing", "How to add")):
        assert part in (site / f"{name}.html").read_text(encoding="utf-8")


def test_a_reader_sees_what_is_not_run_and_why(site):
    shown = (site / "howto" / "llama2-to-newer.html").read_text(encoding="utf-8")
    assert "<em>Not run as it stands: it fetches two models of several GB.</em>" in shown


def test_a_docstring_is_shown_with_its_parameters_and_errors(site):
    shown = re.sub(r"<[^>]+>", "", (site / "api" / "values.html").read_text(encoding="utf-8"))
    for part in ("repetition_penalty", "0.01, 10", "SamplingError", "class Sampling", "classmethod of(given"):
        assert part in shown, part


def visited(address, *steps):
    """What a browser asks for, and what the steps give, at a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page, asked, errors = browser.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        given = [step(page) for step in steps]
        browser.close()
    return asked, errors, given


def results(page):
    page.wait_for_selector("#search-results li a")
    return page.locator("#search-results").inner_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium; PUNA_CHROMIUM names one")
def test_search_works_from_files(site):
    asked, errors, (found,) = visited(f"{(site / 'search.html').as_uri()}?q=nucleus", results)
    assert not errors
    assert "Sampling" in found or "sampling" in found
    assert not [address for address in asked if foreign(address)]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium; PUNA_CHROMIUM names one")
def test_search_works_from_a_server_with_excerpts(site):
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_address[1]}"
        asked, errors, (found,) = visited(f"{here}/search.html?q=throttle", results)
        server.shutdown()
    assert not errors
    assert "Faults on purpose" in found
    assert all(address.startswith((here, "data:")) for address in asked)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *_):
        return


CUT = """() => ({
    beyond: [...document.querySelectorAll("article :is(h1, h2, h3, p, li, img, dt, .table-wrapper, pre)")]
        .filter((part) => !part.parentElement.closest(".table-wrapper, pre, .highlight, .cell_output"))
        .filter((part) => part.getBoundingClientRect().right > innerWidth + 1).map((part) => part.textContent.slice(0, 60)),
    cut: [...document.querySelectorAll(".highlight-text pre, .cell_output .output.stream pre")]
        .filter((block) => block.scrollWidth > block.clientWidth + 2).map((block) => block.textContent.slice(0, 60)),
})"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium; PUNA_CHROMIUM names one")
@pytest.mark.parametrize(("width", "whole"), [(390, False), (1280, True)])
def test_no_page_is_wider_than_the_screen_and_outputs_are_seen_whole(site, width, whole):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": width, "height": 900})
        for file in sorted(site.rglob("*.html")):
            page.goto(file.as_uri())
            found = page.evaluate(CUT)
            assert not found["beyond"], file
            assert not (whole and found["cut"]), file
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium; PUNA_CHROMIUM names one")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_page_and_a_notebook_show_has_contrast(site, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(color_scheme=scheme)
        for name in (
            "endpoint",
            "lint",
            *(f"notebooks/{each}" for each in ("1-prompt-format", "3-chat", "6-playground")),
        ):
            page.goto((site / f"{name}.html").as_uri())
            found = axe.run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
            assert not found, (name, [node["html"] for kind in found for node in kind["nodes"]][:5])
        browser.close()


def test_a_page_that_loads_something_from_elsewhere_is_noticed():
    seen = Seen()
    seen.feed('<p style="background: url(https://a/b.png)"><script src="//c/d.js"></script><a href="https://e">e</a>')
    assert [address for address in (*seen.loaded, *fetched_by("\n".join(seen.styles))) if foreign(address)] == [
        "//c/d.js",
        "https://a/b.png",
    ]


def test_links_out_of_the_folder_are_those_of_the_site():
    spec = importlib.util.spec_from_file_location("conf", DOCS / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    conf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)
    for text, page, place, expected in (
        ("[r](../README.md)", "start", "docs/start.md", "[r](/index.md)"),
        ("[r](../../README.md#try-it)", "howto/a", "docs/howto/a.md", "[r](/index.md#try-it)"),
        ("[n](../notebooks/1.ipynb)", "start", "docs/start.md", "[n](/notebooks/1)"),
        ("[n](2.ipynb)", "notebooks/1", "notebooks/1.ipynb", "[n](/notebooks/2)"),
        ("[f](../docs/formats.md)", "notebooks/1", "notebooks/1.ipynb", "[f](/formats.md)"),
        ("[f](docs/formats.md#x)", "changelog", "CHANGELOG.md", "[f](/formats.md#x)"),
        ("[f](../formats.md#x)", "howto/a", "docs/howto/a.md", "[f](../formats.md#x)"),
        ("![p](a.png)", "start", "docs/start.md", "![p](a.png)"),
        ("[s](../src/puna/turn.py)", "start", "docs/start.md", "[s](/../src/puna/turn.py)"),
        ("[w](https://example.org/README.md)", "start", "docs/start.md", "[w](https://example.org/README.md)"),
        ("[h](#here)", "start", "docs/start.md", "[h](#here)"),
    ):
        assert conf.relinked(text, page, place) == expected
