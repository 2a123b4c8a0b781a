"""Dialogs to draw, and what of the oracle data the tests of several formats need."""

from typing import Any

from hypothesis import strategies as st

from puna.formats.base import Finding, Parsed, Writer
from puna.messages import Dialog, Message, Role
from tests.oracles import oracle, oracle_json

# All that str.strip takes, and lookalikes that it leaves.
BLANKS = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u3000"
LOOKALIKES = "\u200b\ufeff\u2060"

_pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.text(BLANKS + LOOKALIKES, max_size=4),
    st.sampled_from(
        ["[", "]", "<", ">", "/", "<<", ">>", "INST", "SYS", "s>", "|", "im_end", "user\n", "é", "🦙", "\r\n"]
    ),
)
texts = st.lists(_pieces, max_size=5).map("".join)


def message(role: Role, content: str) -> Message:
    return Message(role, content)


def dialog(*contents: str, system: str | None = None) -> Dialog:
    """A dialog whose turns alternate, the user first."""
    roles = [Role.USER, Role.ASSISTANT]
    turns = [Message(roles[n % 2], content) for n, content in enumerate(contents)]
    head = [] if system is None else [Message(Role.SYSTEM, system)]
    return Dialog((*head, *turns))


@st.composite
def alternating(draw: st.DrawFn) -> Dialog:
    """What Llama 2 allows: an optional system message, then user and assistant in turn."""
    system = draw(st.none() | texts)
    return dialog(*draw(st.lists(texts, min_size=1, max_size=6)), system=system)


@st.composite
def any_order(draw: st.DrawFn) -> Dialog:
    return Dialog(tuple(draw(st.lists(st.builds(Message, st.sampled_from(Role), texts), min_size=1, max_size=6))))


def text_of(form: Writer, given: Dialog, *, generation_prompt: bool = True, continue_last: bool = False) -> str:
    segments = form.render(given, generation_prompt=generation_prompt, continue_last=continue_last)
    return "".join(segment.text for segment in segments)


def renders(family: str | None = None) -> list[Any]:
    """The vendors' templates' renders, as transformers gives them."""
    records = [r for r in oracle_json("formats/renders.json") if family in {None, r["family"]}]
    assert records
    return records


def templates() -> dict[str, Any]:
    """Every family's template: text and token texts."""
    sources = oracle_json("formats/sources.json")
    for entry in sources.values():
        entry["text"] = oracle(f"formats/templates/{entry['file'].rpartition('/')[2]}").read_text("utf-8")
    return dict(sources)


def codes(parsed: Parsed) -> list[str]:
    return [finding.code for finding in parsed.findings]


def mended(text: str, findings: tuple[Finding, ...]) -> str:
    """The text with every fix put in."""
    for finding in reversed(findings):
        assert finding.fix is not None
        text = text[: finding.start] + finding.fix + text[finding.end :]
    return text
