from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings

from puna.errors import DialogError
from puna.formats.catalog import FORMATS
from puna.formats.counting import PromptCounter, Tally
from puna.formats.jinja import Jinja
from puna.messages import Dialog, Message, Role
from puna.tokens.base import encode
from puna.tokens.cache import Cached
from tests.formats.dialogs import any_order, dialog

CONTROL = {tag: n for n, tag in enumerate(sorted({t for form in FORMATS.values() for t in form.tags if t[0] in "<["}))}


class Words:
    """A token per word and per blank; tags are control tokens. Counts what it is asked to encode."""

    def __init__(self) -> None:
        self.encoded = 0

    @property
    def control(self) -> Mapping[str, int]:
        return CONTROL

    def encode(self, text: str) -> list[int]:
        self.encoded += len(text)
        return [1000 + len(word) for word in text.split(" ")]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [str(n) for n in ids]

    def bytes_of(self, token: int) -> bytes:
        return str(token).encode()


@settings(derandomize=True, max_examples=300, deadline=None)
@given(any_order())
def test_a_tally_counts_as_the_whole_prompt_does(asked: Dialog) -> None:
    for form in FORMATS.values():
        counter = PromptCounter(form, Words())
        tally = Tally(counter)
        for n, message in enumerate(asked):
            so_far = Dialog(asked.messages[: n + 1])
            try:
                expected = len(encode(counter.tokenizer, form.render(so_far)))
            except DialogError:
                with pytest.raises(DialogError):
                    _ = tally.append(message).tokens
                break
            tally = tally.append(message)
            assert tally.tokens == counter.prompt(so_far) == expected, form.name


@pytest.mark.parametrize("name", ["llama2", "llama3.1", "chatml", "gemma3", "mistral-v7", "deepseek-v3"])
def test_appending_encodes_the_new_turn_only(name: str) -> None:
    words = Words()
    tally = Tally(PromptCounter(FORMATS[name], Cached(words)))
    for n in range(200):
        before = words.encoded
        tally = tally.append(Message(Role.ASSISTANT if n % 2 else Role.USER, f"turn {n} of many words"))
        assert tally.tokens > 0
        # The text of the two newest messages and the tags around them, never that of the dialog.
        assert words.encoded - before < 300, n


@settings(derandomize=True, max_examples=200, deadline=None)
@given(any_order())
def test_costs_and_a_constant_come_to_the_prompt(asked: Dialog) -> None:
    for form in FORMATS.values():
        counter = PromptCounter(form, Words())
        try:
            whole = counter.prompt(asked)
        except DialogError:
            continue
        costs = counter.costs(asked)
        assert len(costs) == len(asked)
        small = dialog("q", system=None if asked.system is None or form.system_allowed == "never" else "S")
        constant = counter.prompt(small) - sum(counter.costs(small))
        # Words that join at the edge of two messages count once in the one and once in the other.
        assert abs(whole - sum(costs) - constant) <= 4 * len(asked) + 4, form.name


def test_what_a_message_costs_does_not_depend_on_those_after_it() -> None:
    for form in FORMATS.values():
        counter = PromptCounter(form, Words())
        system = None if form.system_allowed == "never" else "You are a helpful assistant"
        long = dialog("one two", "three four five", "six", "seven eight", "nine", system=system)
        assert counter.costs(long)[: len(long) - 2] == counter.costs(Dialog(long.messages[:-2]))


def test_costs_of_a_template_share_out_what_it_writes() -> None:
    counter = PromptCounter(Jinja("{% for m in messages %}a b {{ m.content }} c {% endfor %}"), Words())
    costs = counter.costs(dialog("one", "two three"))
    assert counter.costs(Dialog()) == ()
    assert costs[1] == costs[0] + 1
    assert abs(sum(costs) - counter.prompt(dialog("one", "two three"))) <= 2


class Plain(Words):
    """A vocabulary without any of the family's tags: the whole prompt is one run."""

    @property
    def control(self) -> Mapping[str, int]:
        return {}


def test_costs_are_counted_in_linear_time_also_where_nothing_ends_a_run() -> None:
    words = Plain()
    asked = dialog(*("word " * 20 for _ in range(2001)))
    costs = PromptCounter(FORMATS["llama3"], words).costs(asked)
    assert len(costs) == 2001
    # Each message with a few thousand characters before it, not with all that came before.
    assert words.encoded < 2001 * 3 * 5000
