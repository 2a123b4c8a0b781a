import pytest
from hypothesis import given, settings

from puna.formats.adapt import adapt
from puna.formats.catalog import FORMATS
from puna.formats.lint import lint
from puna.formats.translate import translate
from puna.messages import Dialog, Message, Role
from tests.formats.dialogs import any_order, dialog

S, U, A = Role.SYSTEM, Role.USER, Role.ASSISTANT


def turns(*messages: tuple[Role, str]) -> Dialog:
    return Dialog(tuple(Message(role, text) for role, text in messages))


@settings(derandomize=True, max_examples=500, deadline=None)
@given(any_order())
def test_every_family_can_write_every_dialog_and_no_word_is_lost(asked: Dialog) -> None:
    for form in FORMATS.values():
        adapted = adapt(asked, form)
        assert form.text(adapted.dialog) is not None
        assert form.left_out(adapted.dialog) == () or adapted.dialog[-1].role is A
        assert (adapted.changes == ()) == (adapted.dialog == asked)
        before = [word for m in sorted(asked, key=lambda m: m.role) for word in m.content.split()]
        after = [word for m in adapted.dialog for word in m.content.split()]
        assert sorted(before) == sorted(after)
        again = adapt(adapted.dialog, form)
        assert (again.dialog, again.changes) == (adapted.dialog, ())


@pytest.mark.parametrize(
    ("name", "asked", "expected", "parts"),
    [
        ("gemma2", turns((S, "S"), (U, "q")), turns((U, "S\n\nq")), ["beginning of the first user message"]),
        ("mistral-old", turns((S, "S")), turns((U, "S")), ["became a user message"]),
        (
            "gemma2",
            turns((S, "S"), (A, "a"), (U, "q")),
            turns((U, ""), (A, "a"), (U, "S\n\nq")),
            ["first user", "empty"],
        ),
        ("llama2", turns((S, "S"), (U, "q"), (S, "T")), turns((S, "S\n\nT"), (U, "q")), ["messages 0, 2 were joined"]),
        ("gemma3", turns((U, "q"), (S, "T")), turns((S, "T"), (U, "q")), ["message 1 became it"]),
        (
            "vicuna",
            turns((U, "q"), (U, "r"), (A, "a"), (A, "b")),
            turns((U, "q\n\nr"), (A, "a\n\nb")),
            ["1 was", "3 was"],
        ),
        ("mistral-v1", turns((A, "a")), turns((U, ""), (A, "a")), ["empty user message"]),
        ("llama2", turns((S, "S")), turns((S, "S"), (U, "")), ["empty user message"]),
        ("chatml", turns((A, "a"), (S, "T"), (S, "T")), turns((A, "a"), (S, "T"), (S, "T")), []),
    ],
)
def test_what_is_done(name: str, asked: Dialog, expected: Dialog, parts: list[str]) -> None:
    adapted = adapt(asked, FORMATS[name])
    assert adapted.dialog == expected
    assert len(adapted.changes) == len(parts)
    assert all(part in said for part, said in zip(parts, adapted.changes, strict=True))
    assert all(FORMATS[name].title in said for said in adapted.changes)


@pytest.mark.parametrize("to", list(FORMATS))
@pytest.mark.parametrize("source", list(FORMATS))
def test_any_family_translates_to_any_other(source: str, to: str) -> None:
    asked = dialog("Who are you?", "An assistant.", "Since when?", system="Be brief.")
    given = adapt(asked, FORMATS[source]).dialog
    done = translate(FORMATS[source].text(given), to, source)
    read = lint(done.text, to).parsed
    words = [word for m in read.dialog for word in m.content.split()]
    assert sorted(words) == sorted(word for m in asked for word in m.content.split()) or "sentence of its own" in str(
        done.changes
    )
    assert {f.severity for f in read.findings} <= {"note"}
    assert read.dialog[-1].content.endswith("Since when?")
