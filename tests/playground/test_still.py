"""What a notebook shows of the widgets where no kernel runs: all that is there, as text that nothing in it can break out of."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from puna.playground import still

NASTY = '<script>alert(1)</script>" onmouseover="x'


class Seen(HTMLParser):
    """The text of a page, and the tags and attributes in it."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.attributes, self.titles = "", set(), set(), []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data):
        self.text += data


def anatomy_of(*tokens, kind="user"):
    return {"segments": [{"kind": kind, "tokens": list(tokens)}], "prompt_tokens": len(tokens), "context": 4096}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_stays_text(text):
    for page in (
        still.anatomy(anatomy_of([1, text])),
        still.tokens([{"t": text, "lp": -1.0, "top": [[1, text, -0.5]]}]),
        still.talk(text, [{"role": "user", "content": text}], []),
    ):
        seen = Seen(page)
        assert seen.tags <= {"div", "span"}
        assert seen.attributes <= {"style", "title"}
        assert text.replace(" ", "·") in seen.text.replace(" ", "·")


def test_a_prompt_is_shown_token_by_token_with_its_whitespace():
    seen = Seen(still.anatomy(anatomy_of([7, "Hi"], [8, " there\n"], kind="marker")))
    assert seen.text.endswith("Hi·there↵\n")
    assert seen.titles == ["id 7", "id 8"]
    assert "2 tokens of a window of 4096" in seen.text


def test_a_prompt_whose_tokens_nobody_tells_says_so():
    data = {"segments": [{"kind": "user", "tokens": [[None, "Hi"]]}], "prompt_tokens": None, "context": None}
    seen = Seen(still.anatomy(data))
    assert "tokens not told" in seen.text
    assert seen.titles == ["no id is told"]


def test_an_unlikely_token_is_darker_and_tells_what_else_could_have_stood_there():
    page = still.tokens([{"t": "a", "lp": -0.01, "top": []}, {"t": "b", "lp": -3.0, "top": [[5, NASTY, -0.1]]}])
    sure, unlikely = (float(share) for share in re.findall(r"rgba\(.*?,([\d.]+)\)", page))
    assert sure < unlikely
    assert Seen(page).titles[1].startswith("5.0%; likeliest: ")
    assert "rgba" not in still.tokens([{"t": "a", "lp": -3.0}], heat=False)


def test_a_conversation_ends_with_the_tokens_of_its_answer():
    records = [{"t": "Hel", "lp": -1.0, "top": []}, {"t": "lo", "lp": -1.0, "top": []}]
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert len(Seen(still.talk("Be brief.", said, records)).titles) == 2
    assert Seen(still.talk("", said[:1], records)).titles == []
    assert "Nothing said yet." in still.talk("", [], [])
