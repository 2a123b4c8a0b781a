"""How the site is built: ``make docs``. Knows Sphinx, and where the pages stand; nothing of what they say.

A page is read on GitHub too, where links lead to files. Here a link to a file that is a page of the site leads to that page
(``SHOWN``, ``notebooks/``), and one to any other file of the repository to a copy of it. Nothing in the built pages is loaded from another host,
and notebooks are shown as they were committed: nothing is run.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from docstrings import names_of, with_fields  # noqa: E402

from puna.version import __version__  # noqa: E402

project = "puna"
author = "the authors of puna"
release = version = __version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["notebooks/README.md", "**/.ipynb_checkpoints"]

myst_heading_anchors = 4
myst_links_external_new_tab = False
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # by default from another host
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"puna {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("files.js", {"priority": 900})]
html_favicon = "_static/icon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#8a3b12", "color-brand-content": "#8a3b12"},
    "dark_css_variables": {"color-brand-primary": "#f0a36b", "color-brand-content": "#f0a36b"},
    "navigation_with_keys": True,
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "native"

SHOWN = {"README.md": "index", "CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing"}
"""Files beside the folder, and the pages of the site on which they are shown."""
AS_FILES = {page: ROOT / name for name, page in SHOWN.items() if page != "index"}
"""Pages whose text is that of a file beside the folder."""

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$", re.MULTILINE)


def relinked(text: str, page: str, place: str) -> str:
    """The text of a page with links that lead out of its folder as they are in the site: from its top, which Sphinx writes as ``/``.

    page: its name in the site; place: its path in the repository.
    """

    def link(found: re.Match[str]) -> str:
        target, anchor = found[2], found[3] or ""
        if "://" in target or target.startswith(("mailto:", "data:", "attachment:", "\\")):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        if path in SHOWN:
            path = f"docs/{SHOWN[path]}.md"
        elif path.startswith("notebooks/") and path.endswith(".ipynb"):
            path = f"docs/{path.removesuffix('.ipynb')}"  # by its name: as a file it lies where the link leads
        elif path.startswith("docs/") and place == f"docs/{page}.md":
            return found[0]
        return f"{found[1]}/{posixpath.relpath(path, 'docs')}{anchor}{found[4]}"

    return _LINK.sub(link, text)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    """What Sphinx takes for the source of a page."""
    place = f"docs/{page}.md"
    if page in AS_FILES:
        place = AS_FILES[page].name
        source[0] = AS_FILES[page].read_text(encoding="utf-8")
        app.env.note_dependency(str(AS_FILES[page]))
    elif page.startswith("notebooks/"):
        place = f"{page}.ipynb"
    if not page.startswith("api/"):
        source[0] = _NOT_RUN.sub(
            r"*Not run as it stands: \1.*\n", relinked(source[0], page, place)
        )  # a comment is not seen


def _tell(*told: Any) -> None:
    """A docstring, as Sphinx shall read it. told: as Sphinx has it; app, kind, name, thing, options, lines."""
    thing, lines = told[3], told[5]
    lines[:] = with_fields(lines, names_of(thing))


def _sign(*told: Any) -> tuple[str | None, str | None]:
    """A signature without the addresses of defaults that are functions. told: as Sphinx has it, the signature and the result at the end."""
    signature, result = told[-2:]
    return signature and re.sub(r"<function \w+>", "...", signature), result


def setup(app: Sphinx) -> None:
    """Sphinx asks for this."""
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _tell, priority=400)  # before napoleon's
    app.connect("autodoc-process-signature", _sign)
    for name in ("llama2", "chatml", "smollm2"):  # of fences that show a prompt
        app.add_lexer(name, TextLexer)
