"""Links lead somewhere: to a file that is there and a heading that is in it; no page, picture or notebook is without one that leads to it."""

import json
import re

import pytest

from .pages import DOCS, PAGES, ROOT, anchors, links, named, tables, text_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def check(place, target):
    name, _, anchor = target.partition("#")
    file = (place.parent / name).resolve() if name else place
    assert file.is_file(), f"{target}: no such file"
    if anchor and file.suffix == ".md":
        assert anchor in anchors(text_of(file)), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_link_leads_somewhere(page):
    for target in links(text_of(page)):
        if "://" not in target and not target.startswith("mailto:"):
            check(page, target)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.name)
def test_a_link_of_a_notebook_leads_somewhere(notebook):
    for cell in json.loads(text_of(notebook))["cells"]:
        for target in links("".join(cell["source"])) if cell["cell_type"] == "markdown" else ():
            if "://" not in target and not target.startswith(("#", "attachment:")):
                check(notebook, target)


@pytest.mark.parametrize("page", [page for page in PAGES if page.is_relative_to(DOCS)], ids=named)
def test_a_table_has_as_many_cells_in_each_row(page):
    tables(text_of(page))


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_a_file_that_a_page_names_is_there(page):
    """Of the repository, by its path from the top; the command line of a test or a benchmark names one, too."""
    for path in re.findall(r"(?<![\w/.-])((?:tests|benchmarks|container|src/puna|puna/\w+)/[\w/.-]*\w)", text_of(page)):
        if not path.startswith("puna/") or path.endswith(".py"):
            assert (ROOT / path).exists() or (ROOT / "src" / path).exists(), path


def test_every_picture_is_shown_somewhere():
    shown = {(page.parent / target).resolve() for page in PAGES for target in links(text_of(page))}
    assert {file for kind in ("png", "svg", "jpg") for file in DOCS.glob(f"*.{kind}")} <= shown


def test_every_how_to_begins_with_its_task():
    """The site's list of them is made from the headings."""
    for page in DOCS.glob("howto/*.md"):
        assert next(line for line in text_of(page).splitlines() if not line.startswith("<!--")).startswith("# "), page
