from collections.abc import Callable

import pytest

from puna.formats.llama2 import LLAMA2
from puna.formats.llama2_slips import SLIPS
from puna.messages import Dialog, Role
from tests.formats.dialogs import codes, dialog, mended, text_of
from tests.oracles import oracle_json

# ---- the ways to get it wrong that llama2_mistakes.json names, as text


def per_turn(question: str = "<s>[INST] {} [/INST]", answer: str = " {} </s>") -> Callable[[Dialog], str]:
    def write(given: Dialog) -> str:
        turns = [entry.content for entry in given if entry.role is not Role.SYSTEM]
        turns[0] = folded(given, turns[0])
        return "".join((answer if n % 2 else question).format(text) for n, text in enumerate(turns))

    return write


def folded(given: Dialog, user: str) -> str:
    return user if given.system is None else f"<<SYS>>\n{given.system}\n<</SYS>>\n\n{user}"


def replaced(old: str, new: str, count: int = -1) -> Callable[[Dialog], str]:
    return lambda given: text_of(LLAMA2, given).replace(old, new, count)


def spaced_system(pattern: str) -> Callable[[Dialog], str]:
    return lambda given: text_of(LLAMA2, given).replace(
        f"<<SYS>>\n{given.system}\n<</SYS>>\n\n", pattern.format(given.system)
    )


def repeated_system(given: Dialog) -> str:
    block = f"<<SYS>>\n{given.system}\n<</SYS>>\n\n"
    return text_of(LLAMA2, given).replace(block, "").replace("[INST] ", f"[INST] {block}")


# name: (how it is written, the codes that must be found in a three-turn dialog with a system prompt)
MISTAKES: dict[str, tuple[Callable[[Dialog], str], set[str]]] = {
    "double-bos": (lambda d: "<s>" + text_of(LLAMA2, d), {"double-bos"}),
    "bos-only-once": (replaced("</s><s>", "</s>"), {"bos-only-once"}),
    "no-eos-in-history": (replaced(" </s>", " "), {"no-eos-in-history"}),
    "no-bos": (replaced("<s>", ""), {"no-bos", "bos-only-once"}),
    "markers-as-text": (replaced("", "", 0), set()),
    "one-string-no-markers": (
        lambda d: "<s>" + text_of(LLAMA2, d).replace("<s>", "").replace("</s>", ""),
        {"no-eos-in-history", "bos-only-once"},
    ),
    "no-dummy-prefix": (replaced("", "", 0), set()),
    "leading-space": (replaced("<s>[INST]", "<s> [INST]"), {"leading-space"}),
    "no-space-after-inst": (replaced("[INST] ", "[INST]"), {"no-space-after-inst"}),
    "no-space-before-close": (replaced(" [/INST]", "[/INST]"), {"no-space-before-close"}),
    "trailing-space": (lambda d: text_of(LLAMA2, d) + " ", {"trailing-space"}),
    "trailing-newline": (lambda d: text_of(LLAMA2, d) + "\n", {"trailing-newline"}),
    "no-space-before-eos": (replaced(" </s>", "</s>"), {"no-space-before-eos"}),
    "no-space-after-close": (replaced("[/INST] ", "[/INST]"), {"no-space-after-close"}),
    "llamacpp-history": (per_turn(answer="{}</s>"), {"no-space-after-close", "no-space-before-eos"}),
    "space-between-turns": (replaced("</s><s>", "</s> <s>"), {"space-between-turns"}),
    "newline-between-turns": (replaced("</s><s>", "</s>\n<s>"), {"newline-between-turns"}),
    "backslash-s-typo": (replaced("</s>", "<\\s>"), {"backslash-s-typo"}),
    "unstripped-contents": (per_turn(answer="   {}   </s>"), {"unstripped-contents"}),
    "per-message-encoding": (per_turn(answer="  {} </s>"), {"unstripped-contents"}),
    "system-own-inst": (
        spaced_system("<<SYS>>\n{}\n<</SYS>>\n\n [/INST]<s>[INST] "),
        {"system-own-inst", "unstripped-contents"},
    ),
    "system-one-newline": (spaced_system("<<SYS>>\n{}\n<</SYS>>\n"), {"system-one-newline"}),
    "system-no-newlines": (spaced_system("<<SYS>>{}<</SYS>>"), {"system-no-newlines"}),
    # A space there is what the format itself writes for a user text that begins with one, so it is kept, and noted.
    "system-space-before-user": (spaced_system("<<SYS>>\n{}\n<</SYS>>\n\n "), {"system-space-before-user"}),
    "system-open-tag-twice": (spaced_system("<<SYS>>\n{}\n<<SYS>>\n\n"), {"system-open-tag-twice"}),
    "system-stripped": (replaced("", "", 0), set()),
    "first-user-stripped-before-fold": (replaced("", "", 0), set()),
    "empty-system-dropped": (spaced_system(""), set()),
    "system-repeated": (repeated_system, {"system-repeated"}),
    "special-strings-parsed": (replaced("", "", 0), set()),
}

ASKED = dialog("Hello", "Hi there", "Who are you?", "An assistant", "Since when?", system="You are\nbrief.")


def test_every_known_mistake_has_its_case() -> None:
    assert {case["name"] for case in oracle_json("formats/llama2_mistakes.json")} == set(MISTAKES)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_and_the_dialog_recovered(name: str) -> None:
    write, expected = MISTAKES[name]
    text = write(ASKED)
    parsed = LLAMA2.parse(text)
    assert set(codes(parsed)) == expected
    meant = [entry for entry in ASKED if not (name == "empty-system-dropped" and entry.role is Role.SYSTEM)]
    assert [(m.role, m.content.strip()) for m in parsed.dialog] == [(m.role, m.content) for m in meant]
    assert not parsed.open
    if all(finding.fix is not None for finding in parsed.findings):
        assert mended(text, parsed.findings) == text_of(LLAMA2, parsed.dialog)


# ---- single slips

U, A, S = "u", "a", "s"
CASES: list[tuple[str, list[tuple[str, str]], list[str]]] = [
    ("[INST]q[/INST]", [(U, "q")], ["no-bos", "no-space-after-inst", "no-space-before-close"]),
    ("<s><s><s>[INST] q [/INST]", [(U, "q")], ["double-bos", "double-bos"]),
    ("\n<s>[INST] q [/INST]", [(U, "q")], ["space-before-bos"]),
    ("<s>[INST] q", [(U, "q")], ["missing-inst-close"]),
    ("<s>[INST] q </s><s>[INST] r [/INST]", [(U, "q"), (U, "r")], ["missing-inst-close"]),
    ("<s>[INST] q <s>[INST] r [/INST]", [(U, "q"), (U, "r")], ["missing-inst-close"]),
    ("<s>[INST] q [INST] a </s><s>[INST] r [/INST]", [(U, "q"), (A, "a"), (U, "r")], ["inst-open-tag-twice"]),
    ("<s>[INST] q [\\INST] a </s>", [(U, "q"), (A, "a")], ["backslash-inst-typo"]),
    ("<s>[INST] [INST] q [/INST]", [(U, "q")], ["double-inst"]),
    ("<s>[INST] <s>[INST] q [/INST]", [(U, "q")], ["double-inst"]),
    ("<s>[INST] q [/INST] [/INST]", [(U, "q")], ["double-inst-close"]),
    ("<s>[INST] q [/INST] a </s></s><s>[INST] r [/INST]", [(U, "q"), (A, "a"), (U, "r")], ["stray-eos"]),
    ("<s>[INST] q [/INST] a </s><s>", [(U, "q"), (A, "a")], ["dangling-bos"]),
    ("<s>[INST] q [/INST] a </s>\n", [(U, "q"), (A, "a")], ["trailing-newline"]),
    ("<s>[INST] q [/INST]</s>", [(U, "q")], ["stray-eos"]),
    ("<s>[INST] q [/INST] <\\s>", [(U, "q")], ["stray-eos"]),
    ("<s>[INST] q [/INST]<s>[INST] r [/INST]", [(U, "q"), (U, "r")], ["missing-answer"]),
    ("<s>q [/INST]", [(U, "q")], ["text-outside-turn", "missing-inst"]),
    ("<s>[INST] q [/INST] a </s> r", [(U, "q"), (A, "a"), (U, "r")], ["text-outside-turn"]),
    ("Be nice.\n<s>[INST] q [/INST]", [(U, "Be nice.\nq")], ["text-outside-turn"]),
    ("<s>[INST] What is </s> in HTML? [/INST]", [(U, "What is </s> in HTML?")], ["tag-in-content"]),
    ("<s>[INST] Why <s> here? [/INST]", [(U, "Why <s> here?")], ["tag-in-content"]),
    ("<s>[INST] a [INST] b [/INST]", [(U, "a [INST] b")], ["tag-in-content"]),
    ("<s>[INST] q [/INST] a <s> b </s>", [(U, "q"), (A, "a <s> b")], ["tag-in-content"]),
    ("<s>[INST] q [/INST] a <\\s> b </s>", [(U, "q"), (A, "a <\\s> b")], ["tag-in-content"]),
    ("<s><<SYS>>\nx\n<</SYS>>\n\n[INST] q [/INST]", [(S, "x"), (U, "q")], ["system-outside-inst"]),
    ("<<SYS>>\nx\n<</SYS>>\n\nq", [(S, "x"), (U, "q")], ["system-outside-inst"]),
    ("<s>[INST] x\n<</SYS>>\n\nq [/INST]", [(S, "x"), (U, "q")], ["missing-system-open", "system-no-newlines"]),
    ("<s>[INST] <<SYS>>\nx\n\nq [/INST]", [(S, "x"), (U, "q")], ["missing-system-close", "system-no-newlines"]),
    ("<s>[INST] <<SYS>>\nx\n<<\\SYS>>\n\nq [/INST]", [(S, "x"), (U, "q")], ["backslash-sys-typo"]),
    ("<s>[INST] q\n<<SYS>>\nx\n<</SYS>> [/INST]", [(S, "x"), (U, "q")], ["system-not-first"]),
    (
        "<s>[INST] <<SYS>>\r\nx\r\n<</SYS>>\r\n\r\nq [/INST]",
        [(S, "x"), (U, "q")],
        ["system-no-newlines", "system-blank-line"],
    ),
    ("<s>[INST] <<SYS>>x<</SYS>>\n\n\tq [/INST]", [(S, "x"), (U, "\tq")], ["system-no-newlines"] * 2),
    ("<s>[INST] <<SYS>>\nx\n<</SYS>>[/INST]", [(S, "x"), (U, "")], ["no-space-before-close"]),
    (
        "<s>[INST] q [/INST] a </s><s>[INST] <<SYS>>\nx\n<</SYS>>\n\nr [/INST]",
        [(U, "q"), (A, "a"), (S, "x"), (U, "r")],
        ["system-not-first"],
    ),
    ("<s>[INST] q [/INST]</s><s>[INST] r [/INST]", [(U, "q"), (A, ""), (U, "r")], ["no-space-after-close"]),
    ("<s>[INST] q [/INST] a <|eot_id|><s>[INST] r [/INST]", [(U, "q"), (A, "a"), (U, "r")], ["foreign-end"]),
    ("<s>[INST] q [/INST] a<|im_end|> </s>", [(U, "q"), (A, "a")], ["foreign-end"]),
    (
        "<s>[INST] q [/INST] </s> ends it </s><s>[INST] r [/INST]",
        [(U, "q"), (A, "</s> ends it"), (U, "r")],
        ["tag-in-content"],
    ),
    ("<s>[INST][/INST]", [(U, "")], ["no-space-after-inst"]),
    ("<s>[INST]   [/INST]", [(U, "")], ["unstripped-contents"]),
]
ROLES = {"u": Role.USER, "a": Role.ASSISTANT, "s": Role.SYSTEM}


@pytest.mark.parametrize(("text", "meant", "found"), CASES, ids=[text for text, _, _ in CASES])
def test_a_slip_is_named_and_read_past(text: str, meant: list[tuple[str, str]], found: list[str]) -> None:
    parsed = LLAMA2.parse(text)
    seen = codes(parsed)
    if not text.startswith("<s>") and "no-bos" in seen and "no-bos" not in found:
        seen.remove("no-bos")
    assert set(found) <= set(seen)
    assert [(m.role, m.content) for m in parsed.dialog] == [(ROLES[role], content) for role, content in meant]


def test_every_code_is_shown_by_a_case() -> None:
    shown = {code for _, _, found in CASES for code in found} | {c for _, found in MISTAKES.values() for c in found}
    assert set(SLIPS) <= shown
