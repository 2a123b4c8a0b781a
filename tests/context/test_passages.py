"""Documents become passages: nothing lost, nothing twice, each where it says it is, and cut where a reader would cut."""

import re
import sys
import time
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.context.passages import Kind, passages
from puna.errors import InputError

characters = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("aB.!? \n\n\n\r\t#-*|>`1~=[]:"),
)
lines = st.one_of(
    st.text(characters, max_size=60),
    st.sampled_from(["# Title", "## Part *one*", "Under\n===", "- item", "1. one", "> said", "```", "    code", "| a | b |\n|---|---|\n| 1 | 2 |",
                     "[ref]: http://x", "---", "<div>", "A sentence. Another one! Dr. Who?", "", "\ufeff", "🦙🏽 e\u0301"]),
)  # fmt: skip
documents = st.lists(lines, max_size=12).map("\n".join)
sizes = st.integers(1, 120)


def solid(text: str) -> list[str]:
    return re.findall(r"[^\s\ufeff]", text)


@given(documents, sizes, st.sampled_from([Kind.TEXT, Kind.MARKDOWN]))
def test_a_passage_is_the_source_s_own_text(document, size, kind):
    found = passages(document, source="a.md", kind=kind, size=size)
    for piece in found:
        assert document[piece.start : piece.end] == piece.text
        assert 0 < len(piece.text) <= size
        assert piece.text.strip()
        assert piece.line == len(re.findall(r"\r\n|\n|\r", document[: piece.start])) + 1
        assert piece.source == "a.md"
    places = [place for piece in found for place in (piece.start or 0, piece.end or 0)]
    assert places == sorted(places)


@given(documents, sizes)
def test_no_character_of_a_text_is_lost(document, size):
    assert solid("".join(piece.text for piece in passages(document, size=size))) == solid(document)


@given(documents, sizes)
def test_of_markdown_only_headings_leave_the_text_and_stand_in_the_heading(document, size):
    found = passages(document, kind="markdown", size=size)
    kept = {n for piece in found for n in range(piece.start or 0, piece.end or 0)}
    gone = "".join(sign if n not in kept else "\n" for n, sign in enumerate(document))
    known = "".join(name for piece in found for name in piece.heading)
    for line in gone.split("\n"):
        words = re.findall(r"[A-Za-z]+", line.strip(" #=-\ufeff"))
        assert all(word in known for word in words), line


@given(documents, sizes)
def test_html_keeps_what_a_reader_sees(document, size):
    words = escape(document.replace("\x00", ""))
    found = passages(f"<body><p>{words}</p>\n<pre>{words}</pre></body>", kind="html", size=size)
    text = "".join(piece.text for piece in found)
    assert solid(text) == solid(document.replace("\x00", "")) * 2
    assert all(len(piece.text) <= size and piece.start is None for piece in found)


GUIDE = """\
# The *llama* guide

Llamas live in the Andes. They hum, e.g. when they worry. Dr. Smith says so.

## Food

- grass
- hay,
  at night

| food | kilos |
|------|-------|
| hay  | 3     |

```python
grass = 1

hay = 2
```

## Sleep

## More

See [there].

[there]: http://example.com
"""


def test_a_passage_stands_under_its_headings():
    found = passages(GUIDE, kind="markdown", source="guide.md")
    assert [(piece.label, piece.heading, piece.text.split("\n")[0]) for piece in found] == [
        ("guide.md:3", ("The llama guide",), "Llamas live in the Andes. They hum, e.g. when they worry. Dr. Smith says so."),
        ("guide.md:7", ("The llama guide", "Food"), "- grass"),
        ("guide.md:21", ("The llama guide",), "## Sleep"),
        ("guide.md:25", ("The llama guide", "More"), "See [there]."),
    ]  # fmt: skip
    assert found[1].text.endswith("hay = 2\n```")
    assert found[3].text.endswith("[there]: http://example.com")


def test_sentences_code_and_tables_are_whole_as_long_as_they_fit():
    found = [piece.text for piece in passages(GUIDE, kind="markdown", size=52)]
    assert found[:7] == [
        "Llamas live in the Andes.",
        "They hum, e.g. when they worry. Dr. Smith says so.",
        "- grass\n- hay,\n  at night",
        "| food | kilos |\n|------|-------|\n| hay  | 3     |",
        "```python\ngrass = 1\n\nhay = 2\n```",
        "## Sleep",
        "See [there].\n\n[there]: http://example.com",
    ]
    found = [piece.text for piece in passages(GUIDE, kind="markdown", size=26)]
    assert found[1:9] == [
        "They hum, e.g. when they",
        "worry. Dr. Smith says so.",
        "- grass\n- hay,\n  at night",
        "| food | kilos |",
        "|------|-------|",
        "| hay  | 3     |",
        "```python\ngrass = 1",
        "hay = 2\n```",
    ]


PAGE = """\
<!doctype html>
<html><head><title>Guide</title><style>p { color: red }</style></head>
<body><nav>Home</nav>
<h2>Llamas<a href="#l">\u00b6</a></h2>
<p>They   live
in the <b>An</b>des.<br>They hum.</p>
<ul><li>grass<li><p>hay &amp; oats</p></ul>
<table><tr><th>food<th>kilos<tr><td>hay<td>3</table>
<pre>
  grass = 1
    hay = 2
</pre>
<!-- not seen --><p hidden>nor this</p>
<h2>Alone</h2>
</body></html>
"""


def test_html_is_read_as_a_reader_sees_it():
    one, two = passages(PAGE, kind="html", source="page.html")
    assert one.text == (
        "They live in the Andes.\nThey hum.\n- grass\n- hay & oats\n\nfood | kilos\nhay | 3\n\n  grass = 1\n    hay = 2"
    )
    assert (one.heading, one.label) == (("Guide", "Llamas"), "page.html:5")
    assert (two.text, two.heading, two.line) == ("Alone", ("Guide",), 14)
    found = passages(PAGE, kind="html", size=24)
    assert [piece.line for piece in found] == [5, 5, 7, 8, 9, 14]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<div>menu</div><main><p>The text.</p></main><footer>foot</footer>", "The text."),
        ("<table><tr><td><p>Laid out.</p></td><td><h1>by tables</h1></td></tr></table>", "Laid out.\n\nby tables"),
        ("<!doctype html><head><title>Open</title><body><p>The text.", "The text."),
        ("no tags at all", "no tags at all"),
        ("<p>a<p>b", "a\n\nb"),
        ("<h1>a</h1>", "a"),
        # What a browser ends, though no end tag says so.
        ("<p hidden>menu<p>The text.", "The text."),
        ("<ul><li hidden>menu<li>The text.</ul>", "- The text."),
        ("<ol><li hidden><ol><li>menu</ol><li>The text.</ol>", "- The text."),
        ("<dl><dt hidden>menu<dd>The text.</dl>", "The text."),
        ("<table><tr hidden><td>menu<tr><td hidden>menu<th>The text.</table>", "The text."),
        ("<table><tbody hidden><tr><td>menu<tbody><tr><td>The text.</table>", "The text."),
        ("<table><caption hidden>menu<tr><td>The text.</table>", "The text."),
        ("<select><optgroup hidden><option>menu<optgroup><option>The text.</select>", "The text."),
        ("<h2 hidden>menu<h2>The text.", "The text."),
        ("<select><option hidden>menu<option>The text.</select>", "The text."),
        ("<p><ruby>The text.<rt hidden>x<rp>", "The text."),
        ("<head hidden><title>x</title><body><p>The text.", "The text."),
        ("<p hidden><span>menu<div>The text.</div>", "The text."),
        # What a browser keeps open.
        ("<ul><li hidden>menu<ul><li>menu</ul>menu</ul>The text.", "The text."),
        ("<div hidden>menu<div>menu</div><p>menu</div>The text.", "The text."),
        ("<table><tr hidden><td><table><tr><td>menu</table></table>The text.", "The text."),
        ("<p hidden><button><p>menu</button></p>The text.", "The text."),
        ('<p style="color: red; Display:NONE">menu</p><p style="display:block">The text.', "The text."),
        ('<p style="visibility: hidden">menu</p>The text.', "The text."),
        ("<div>" * 5000 + "deep", "deep"),
        ("page.html", "page.html"),
        ("<?xml version='1.0'?><feed><p>The text.</p></feed>", "The text."),
        ("", ""),
    ],
)  # fmt: skip
def test_pages_of_all_kinds(page, text):
    assert [piece.text for piece in passages(page, kind="html")][:1] == ([text] if text else [])


def test_front_matter_and_a_byte_order_mark_are_no_markdown():
    found = passages("---\ntitle: Llamas\n---\n# Life\n\nThey hum.", kind="markdown")
    assert [(piece.text, piece.heading) for piece in found] == [
        ("---\ntitle: Llamas\n---", ()),
        ("They hum.", ("Life",)),
    ]
    (piece,) = passages("\ufeff# Life\r\n\r\nThey hum.", kind="markdown")
    assert (piece.text, piece.heading, piece.start, piece.line) == ("They hum.", ("Life",), 11, 3)


def test_what_belongs_to_one_sign_is_not_parted():
    found = [piece.text for piece in passages("e\u0301" * 5, size=3)]
    assert found == ["e\u0301"] * 5


def test_what_cannot_be_taken_is_refused():
    with pytest.raises(InputError, match="Did you mean 'markdown'"):
        passages("x", kind="markdwn")
    with pytest.raises(InputError, match="size of passages must be 1 character or more, not 0"):
        passages("x", size=0)


@pytest.mark.parametrize(("kind", "package"), [("markdown", "markdown_it"), ("html", "bs4")])
def test_a_parser_that_is_missing_is_told_with_the_line_to_type(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'puna\[documents\]'"):
        passages("x", kind=kind)
    assert passages("x")


@pytest.mark.parametrize(
    "unit",
    [
        ".",
        "\u0301",
        "[",
        "\n",
        " ",
        "a. ",
        "- a\n",
        ">",
        "# [",
        "| a ",
        "```\n",
        "<p>",
        "<table>",
        "<li><div>",
        "<p><button>",
        "---\n",
        "x",
    ],
)
@pytest.mark.parametrize("kind", list(Kind))
def test_no_document_takes_time_out_of_all_proportion(unit, kind):
    """Linear work takes about a second of the processor here; work that grows with the square takes minutes."""
    size = 10_000 if kind == Kind.MARKDOWN else 100_000
    if (unit, kind) == ("<p>", Kind.HTML):
        size = 10_000
    started = time.process_time()
    passages(unit * (size // len(unit)), kind=kind)
    assert time.process_time() - started < 20


def test_blocks_that_fill_the_size_exactly_stay_together():
    assert [piece.text for piece in passages("one\n\ntwo\n\nsix", size=8)] == ["one\n\ntwo", "six"]
    assert [piece.text for piece in passages("one\n\ntwo\n\nsix", size=7)] == ["one", "two", "six"]


def test_code_in_a_long_list_is_whole():
    text = "- Do this. Then that.\n\n  ```\n  a = 1\n\n  b = 2. C\n  ```\n- Well done."
    assert [piece.text for piece in passages(text, kind="markdown", size=40)] == [
        "- Do this. Then that.",
        "  ```\n  a = 1\n\n  b = 2. C\n  ```",
        "- Well done.",
    ]
