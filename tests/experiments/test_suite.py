"""A file of tests as people write it: the plan that it makes, and the sentence that refuses what cannot be meant."""

import re
from pathlib import Path

import pytest

from puna.errors import InputError
from puna.experiments.expectations import Differs, Holds
from puna.experiments.expected import COUNTS, RELATIONS
from puna.experiments.plan import Record, Target
from puna.experiments.suite import KEYS, TEST_KEYS, Suite, builtin
from puna.messages import Dialog, Message, Role

FILE = """
name = "claims"
repeats = 4
seed = 10
[sampling]
max_tokens = 20
temperature = 0.7

[[tests]]
name = "history"
repeats = 6
[[tests.prompts]]
name = "with"
messages = [{role = "user", content = "What is it?"}, {role = "assistant", content = "A tower."}, {role = "user", content = "When?"}]
[[tests.prompts]]
name = "without"
user = "When?"
[[tests.expect]]
contains = "1889"
of = "with"
at_least = 5
[[tests.expect]]
contains = "1889"
of = "without"
at_most = 1

[[tests]]
name = "diversity"
user = "Tell of a {{animal}}."
system = "Be brief."
[tests.variables]
animal = ["llama", "condor"]
[[tests.variants]]
name = "low"
temperature = 0.1
[[tests.variants]]
name = "high"
temperature = 1.0
[[tests.expect]]
measure = "diversity"
of = "low"
less_than = "high"
[[tests.expect]]
measure = "words"
at_least = 1
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "claims.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_tests_make_one_plan(write):
    suite = Suite.read(write(FILE))
    plan, (history, diversity) = suite.plan()
    assert (suite.name, plan.name) == ("claims", "claims")
    assert [cell.index for cell in plan.cells] == list(range(6))
    assert [(c.prompt, c.case, c.variant, c.repeats) for c in plan.cells] == [
        ("history: with", "", "default", 6),
        ("history: without", "", "default", 6),
        ("diversity", "llama", "low", 4),
        ("diversity", "llama", "high", 4),
        ("diversity", "condor", "low", 4),
        ("diversity", "condor", "high", 4),
    ]
    assert plan.seeds == (10, 11, 12, 13, 14, 15)
    assert len(list(plan.trials())) == 28
    assert {cell.sampling.max_tokens for cell in plan.cells} == {20}
    assert [cell.sampling.temperature for cell in plan.cells] == [0.7, 0.7, 0.1, 1.0, 0.1, 1.0]
    assert plan.cells[2].ask == Dialog((Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Tell of a llama.")))
    assert [check.name for check in plan.checks] == ['contains "1889"']
    assert plan.record == Record()
    assert (history.name, set(history.cells)) == ("history", {0, 1})
    assert {name: (part.level, set(part.cells)) for name, part in history.parts.items()} == {
        "with": ("history: with", {0}),
        "without": ("history: without", {1}),
    }
    assert {name: part.cells for name, part in diversity.parts.items()} == {"low": {2, 4}, "high": {3, 5}}
    assert isinstance(diversity.expectations[0], Differs)
    assert isinstance(diversity.expectations[1], Holds)


def test_targets_and_repeats_can_be_others(write):
    targets = [Target("a"), Target("b", "openai", url="http://127.0.0.1:1")]
    text = FILE.replace("at_least = 5", "at_least = 0.8").replace("at_most = 1", "at_most = 0")
    plan, (history, _) = Suite.read(write(text)).plan(targets=targets, repeats=2)
    assert [target.name for target in plan.targets] == ["a", "b"]
    assert [cell.target for cell in plan.cells[:4]] == ["a", "a", "b", "b"]
    assert history.parts["with"].cells == {0, 2}
    assert plan.seeds == (10, 11)


def test_the_definition_identifies_what_is_asked(write):
    first, _ = Suite.read(write(FILE)).plan()
    same, _ = Suite.read(write("# a comment\n" + FILE)).plan()
    other, _ = Suite.read(write(FILE.replace("condor", "vicuña"))).plan()
    assert first.definition == same.definition
    assert first.definition != other.definition


def test_a_prompt_is_written_as_in_an_experiment(write):
    text = '[[tests]]\ntext = "<s>[INST] Hi [/INST]"\nraw = true\n[[tests.expect]]\nmeasure = "entropy"\nat_most = 3\n'
    plan, (test,) = Suite.read(write(text)).plan()
    assert (plan.name, test.name) == ("claims", "test 1")
    assert (plan.cells[0].ask, plan.cells[0].raw) == ("<s>[INST] Hi [/INST]", True)
    assert plan.record == Record(logprobs=5)
    assert len(plan.seeds) == 8


SYSTEMS = """
[[tests]]
name = "t"
user = "Who are you?"
[[tests.system]]
name = "none"
[[tests.system]]
name = "pirate"
text = "You are a pirate."
[tests.sampling]
temperature = [0.2, 0.9]
[[tests.expect]]
contains = "pirate"
of = "pirate"
more_than = "none"
[[tests.expect]]
continuation = "I am a pirate."
likelier_than = "I am a \\"model\\".\\n"
of = "pirate"
"""


def test_system_prompts_and_a_grid_have_parts(write):
    _, (test,) = Suite.read(write(SYSTEMS)).plan()
    assert list(test.parts) == ["temperature=0.2", "temperature=0.9", "none", "pirate"]
    assert test.parts["pirate"].cells == {2, 3}
    assert test.parts["temperature=0.2"].cells == {0, 2}


def test_continuations_are_scored_once_for_a_prompt_and_need_no_answers(write):
    plan, _ = Suite.read(write(SYSTEMS)).plan()
    assert [len(cell.continuations) for cell in plan.cells] == [2, 0, 2, 0]
    assert [each.text for each in plan.cells[0].continuations] == ["I am a pirate.", 'I am a "model".\n']
    only = '[[tests]]\nuser = "Hi"\n[[tests.expect]]\ncontinuation = "Yes"\nlikelier_than = "No"\n'
    plan, _ = Suite.read(write(only)).plan()
    assert list(plan.trials()) == []
    assert len(plan.cells[0].continuations) == 2


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("repeats = 4", "repeets = 4", "line 3: unknown key of a file of tests 'repeets'. Did you mean 'repeats'?"),
        ("repeats = 6", "repeets = 6", "line 11: unknown key of a test 'repeets'. Did you mean 'repeats'?"),
        ("temperature = 0.7", "temperature = 7", "line 7: temperature must be"),
        ("temperature = 1.0", "temperature = 7", "line 38: temperature must be"),
        ("temperature = 0.7", "temprature = 0.7", "Did you mean 'temperature'?"),
        ('user = "When?"', 'usr = "When?"', "line 17: unknown key of a prompt 'usr'"),
        ('user = "Tell of a {{animal}}."', 'user = "Tell of a {{animal}."', "line 29"),
        ('user = "Tell of a {{animal}}."', 'user = "Tell of a {{anmal}}."', "anmal"),
        ('user = "Tell of a {{animal}}."', "", "tests[1] must have one of user, messages and text, but it has none"),
        ('user = "Tell', 'text = "x"\nuser = "Tell', "it has user and text"),
        ("repeats = 6", 'repeats = 6\nuser = "x"', "line 12: tests[0].user and prompts both say what is asked"),
        ('name = "diversity"', 'name = "history"', "there are two tests named 'history'"),
        ('name = "without"', 'name = "with"', "there are two prompts named 'with'"),
        ('of = "low"\nless_than = "high"', 'of = "lo"\nless_than = "high"', "Did you mean 'low'?"),
        ("at_least = 5", "at_least = 7", "line 18: tests[0].expect[0] expects at least 7 of 6 outputs, which cannot be"),
        ("at_most = 1", "at_most = 9", "at most 9 of 6 outputs"),
        ("seed = 10", "seed = -1", "line 4: "),
        ('name = "claims"', 'targets = [{engine = "lama"}]\nname = "claims"', "line 2: tests[0].targets[0].engine"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_line(write, old, new, part):
    assert old in FILE
    with pytest.raises(InputError) as refused:
        Suite.read(write(FILE.replace(old, new, 1))).plan()
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "there must be tests"),
        ("tests = []", "tests is empty"),
        ("tests = 3", "tests must be a list"),
        ('[[tests]]\nname = "x"\nuser = "x"', "the test 'x' must say what it expects"),
        ('[[tests]]\nuser = "x"\nexpect = []', "tests[0].expect is empty"),
        (
            ('[[tests]]\nuser = "x"\nvariants = [{name = "a"}, {name = "b", top_k = 1}]\n'
            'system = [{name = "a", text = "A"}, {name = "c", text = "C"}]\n[[tests.expect]]\nabstains = true'),
            "'a' names a variant and a system of the test",
        ),
        (
            ('[[tests]]\nuser = "x"\nvariants = [{name = "a"}, {name = "b", top_k = 1}]\n'
            'system = [{name = "c", text = "A"}, {name = "d", text = "C"}]\n'
            '[[tests.expect]]\nabstains = true\nof = "a"\nless_than = "c"'),
            "both must be of one kind",
        ),
        (
            ('[[tests]]\nuser = "x"\nvariants = [{name = "a"}, {name = "b", top_k = 1}]\n'
            '[[tests.expect]]\ncontinuation = "y"\nlikelier_than = "n"\nof = "a"'),
            "no sampling changes how likely an answer is",
        ),
        ('[[tests]]\nuser = "x"\n[[tests.expect]]\nexact = true', "measured against expected answers"),
    ],
)  # fmt: skip
def test_a_file_that_tests_nothing_is_refused(write, text, part):
    with pytest.raises(InputError) as refused:
        Suite.read(write(text)).plan()
    assert part in str(refused.value)


PAGE = (Path(__file__).parents[2] / "docs" / "expectations.md").read_text(encoding="utf-8")


def test_the_documented_file_is_one(write):
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    plan, tests = Suite.read(write(text)).plan()
    assert [test.name for test in tests] == ["a follow-up needs its history", "short and varied"]
    assert len(list(plan.trials())) == 80


def test_every_key_is_documented():
    documented = set(re.findall(r"`(\w+)`", PAGE[PAGE.index("## Keys") : PAGE.index("## Verdicts")]))
    documented |= set(re.findall(r"`(\w+) = ", PAGE))
    assert documented >= {
        *KEYS,
        *TEST_KEYS,
        *COUNTS,
        *RELATIONS,
        "of",
        "in",
        "alpha",
        "statistic",
        "likelier_than",
        "by",
    }
    assert documented >= {"measure", "continuation", "contains", "abstains"}


def test_the_documented_claims_are_those_of_the_file():
    """The table has a line for each expectation, in the file's order, with the number of answers that there are."""
    table = PAGE[PAGE.index("| claim | found") :]
    found = [row.split("|")[2].strip() for row in table.splitlines()[2:] if row.startswith("|")]
    plan, tests = builtin("workshop").plan()
    expected = [each for test in tests for each in test.expectations]
    assert len(found) == len(expected)
    for told, each in zip(found, expected, strict=True):
        if isinstance(each, Holds):
            assert told.endswith(f" of {len(plan.seeds)}")
        elif isinstance(each, Differs):
            assert " and " in told
