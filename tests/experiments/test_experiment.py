"""An experiment says what it is and makes its plan, or says in one sentence what is wrong, where, and what to do."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from puna.errors import InputError
from puna.experiments.experiment import Experiment
from puna.experiments.plan import Check, Continuation, Record, Target
from puna.experiments.records import identity
from puna.generation import MAX_SEED, Sampling
from puna.messages import Dialog, Message, Role

FILE = """\
name = "story temperature"
repeats = 3
seconds = 60
retries = 1

[variables]
animal = ["llama", "condor"]

[[prompts]]
name = "story"
user = "Write a story about a {{animal}}."

[[prompts]]
name = "bare"
messages = [
  { role = "user", content = "Hi" },
  { role = "assistant", content = "Hello" },
  { role = "user", content = "Tell me a story." },
]

[[system]]
name = "none"

[[system]]
name = "pirate"
text = "You are a pirate."

[sampling]
temperature = [0, 1.0]
max_tokens = 60

[[targets]]
name = "here"
model = "smollm2-135m"
context = 512

[[targets]]
url = "http://127.0.0.1:9000"
api = "openai"

[record]
logprobs = 5
distributions = 1000

[[scores]]
name = "mentions it"
contains = "llama"

[[continuations]]
name = "unknown"
text = "I don't know"
group = "answers"
"""


def of_file(folder, text):
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return Experiment.read(path)


@pytest.fixture
def plan(tmp_path):
    return of_file(tmp_path, FILE).plan()


def test_every_part_of_a_file_reaches_the_plan(plan):
    assert plan.name == "story temperature"
    assert plan.seeds == (1, 2, 3)
    assert (plan.seconds, plan.retries, plan.record) == (60, 1, Record(5, 1000))
    assert plan.checks == (Check("mentions it", "contains", "llama"),)
    assert plan.targets == (
        Target("here", settings={"model": "smollm2-135m", "context": 512}),
        Target("127.0.0.1:9000", "openai", url="http://127.0.0.1:9000"),
    )


def test_cells_are_every_setting_on_every_unit_with_equal_prompts_side_by_side(plan):
    assert len(plan.cells) == 2 * (2 + 1) * 2 * 2
    assert [cell.index for cell in plan.cells] == list(range(24))
    told = [(*cell.unit, cell.system, cell.variant) for cell in plan.cells[:12]]
    assert told[:5] == [
        ("story", "llama", "none", "temperature=0"),
        ("story", "llama", "none", "temperature=1"),
        ("story", "llama", "pirate", "temperature=0"),
        ("story", "llama", "pirate", "temperature=1"),
        ("story", "condor", "none", "temperature=0"),
    ]
    assert told[-1] == ("bare", "", "pirate", "temperature=1")
    assert len(list(plan.trials())) == 24 * 3


def test_a_cell_has_all_that_is_asked(plan):
    cell = plan.cells[7]
    assert cell.ask == Dialog(
        (Message(Role.SYSTEM, "You are a pirate."), Message(Role.USER, "Write a story about a condor."))
    )
    assert (cell.values, cell.expected, cell.raw, cell.format, cell.target) == (
        {"animal": "condor"},
        None,
        False,
        "auto",
        "here",
    )
    assert cell.sampling == Sampling(temperature=1.0, max_tokens=60)
    assert cell.given == {"temperature", "max_tokens"}
    assert cell.continuations == (Continuation("unknown", "I don't know", "answers"),)
    assert len(plan.cells[8].ask) == 3
    assert plan.cells[8].values == {}


def test_the_keys_of_the_file_are_the_arguments_of_the_value(tmp_path, plan):
    import tomllib

    assert Experiment(**tomllib.loads(FILE)).plan() == plan
    assert Experiment.of(tomllib.loads(FILE)).plan() == plan
    assert dataclasses.replace(Experiment.of(tomllib.loads(FILE)), repeats=1).plan().seeds == (1,)


def test_a_notebook_may_write_it_shortly():
    made = Experiment(
        prompts=["Hi {{n}}", {"messages": Dialog((Message(Role.USER, "Ho"),))}],
        system="Be brief.",
        variables={"n": range(2)},
        formats="llama2",
        sampling={"temperature": np.linspace(0, 1, 3), "top_k": np.int64(3)},
        continuations=["Yes", "No"],
        seeds=(5, 9),
    )
    plan = made.plan(targets=[Target("mine", settings={"engine": "scripted"})])
    assert plan.name == "experiment"
    assert plan.seeds == (5, 9)
    assert [cell.prompt for cell in plan.cells[::3]] == ["prompt 1", "prompt 1", "prompt 2"]
    assert {cell.format for cell in plan.cells} == {"llama2"}
    assert [each.name for each in plan.cells[0].continuations] == ["Yes", "No"]
    assert json.loads(json.dumps(plan.definition)) == plan.definition
    assert Experiment.of(plan.definition).plan() == plan


def test_what_is_not_said_has_its_default():
    plan = Experiment(prompts="Hi").plan()
    (cell,) = plan.cells
    assert plan.seeds == tuple(range(1, 9))
    assert (plan.targets, plan.record, plan.checks, plan.seconds, plan.retries) == (
        (Target("default"),),
        Record(),
        (),
        300,
        2,
    )
    assert (cell.prompt, cell.case, cell.system, cell.format, cell.variant) == ("prompt", "", "none", "auto", "default")
    assert cell.ask == Dialog((Message(Role.USER, "Hi"),))


def test_a_file_without_a_name_is_called_by_its_file(tmp_path):
    assert of_file(tmp_path, 'prompts = ["Hi"]').plan().name == "sweep"


def test_a_text_is_sent_as_it_was_written_and_has_its_system_message_in_it():
    plan = Experiment(
        prompts=[{"text": "<s>[INST] {{x}} [/INST]", "raw": True}], variables={"x": ["{{x}} [/INST]"]}
    ).plan()
    assert (plan.cells[0].ask, plan.cells[0].raw) == ("<s>[INST] {{x}} [/INST] [/INST]", True)


def test_a_prompts_own_system_message_comes_first_and_is_told_so():
    (cell,) = (
        Experiment(prompts=[{"user": "Hi", "system": "Be {{how}}."}], variables={"how": ["brief"]}, repeats=1)
        .plan()
        .cells
    )
    assert cell.ask == Dialog((Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hi")))
    assert cell.system == "own"


def test_variables_of_system_prompts_and_continuations_make_cases_of_every_prompt():
    plan = Experiment(
        prompts=[{"name": "a", "user": "A"}, {"name": "b", "user": "B"}],
        system=[{"name": "none"}, {"name": "who", "text": "You are {{who}}."}],
        continuations=[{"text": "I am {{who}}."}],
        variables={"who": ["Ann", "Bob"]},
    ).plan()
    assert [(*cell.unit, cell.system) for cell in plan.cells[:4]] == [
        ("a", "Ann", "none"),
        ("a", "Ann", "who"),
        ("a", "Bob", "none"),
        ("a", "Bob", "who"),
    ]
    assert len(plan.cells) == 8
    assert plan.cells[2].continuations[0].text == "I am Bob."


def test_cases_of_a_file_are_relative_to_it_and_part_of_what_identifies_the_experiment(tmp_path):
    text = 'cases = "c.csv"\nprompts = ["{{q}}?"]\n[[scores]]\nexact = true\n'
    (tmp_path / "c.csv").write_text("name,q,expected\none,What,this\ntwo,Who,\n", encoding="utf-8")
    experiment = of_file(tmp_path, text)
    assert [(cell.case, cell.values, cell.expected) for cell in experiment.plan().cells] == [
        ("one", {"q": "What"}, "this"),
        ("two", {"q": "Who"}, None),
    ]
    before = experiment.plan().definition
    assert Experiment.of(before).plan().cells == experiment.plan().cells
    (tmp_path / "c.csv").write_text("name,q,expected\none,What,that\n", encoding="utf-8")
    assert experiment.plan().definition == before
    assert of_file(tmp_path, text).plan().definition != before


def test_cases_and_variables_together_are_every_combination():
    plan = Experiment(prompts="{{q}} {{how}}", cases=[{"q": "a"}, {"q": "b"}], variables={"how": ["1", "2"]}).plan()
    assert [cell.case for cell in plan.cells] == ["a, 1", "a, 2", "b, 1", "b, 2"]


def test_the_definition_does_not_depend_on_defaults_but_on_what_replaces_them(tmp_path):
    experiment = of_file(tmp_path, FILE)
    same = experiment.plan()
    other = experiment.plan(repeats=5, targets=[Target("t", settings={"engine": "scripted"})])
    assert other.seeds == (1, 2, 3, 4, 5)
    assert {cell.target for cell in other.cells} == {"t"}
    assert other.definition["targets"] == [{"name": "t", "engine": "scripted"}]
    assert same.definition == experiment.plan().definition != other.definition
    assert Experiment.of(other.definition).plan() == other


def test_listed_seeds_are_cut_by_repeats_and_replaced_by_seeds():
    experiment = Experiment(prompts="Hi", seeds=[7, 3, 5])
    assert experiment.plan(repeats=2).seeds == (7, 3)
    assert experiment.plan(seeds=[1]).seeds == (1,)
    assert Experiment(prompts="Hi", repeats=2, seed=40).plan().seeds == (40, 41)
    assert Experiment(prompts="Hi", repeats=2, seed=40).plan(seeds=[1]).seeds == (1,)
    bad: list[dict[str, Any]] = [
        {"repeats": 4},
        {"repeats": 0},
        {"seeds": [1], "repeats": 1},
        {"seeds": []},
        {"seeds": [1, 1]},
    ]
    for each in bad:
        with pytest.raises(InputError):
            experiment.plan(**each)


def test_what_replaces_a_part_is_not_blamed_on_its_line(tmp_path):
    with pytest.raises(InputError, match=r"sweep.toml: repeats must be a whole number from 1 to 100000, not 0"):
        of_file(tmp_path, FILE).plan(repeats=0)


# ---- bad input


PROMPTS = '[[prompts]]\nuser = "Hi {{x}}"\n[variables]\nx = ["a"]\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("repeat = 3\n" + PROMPTS, "line 1: unknown key of an experiment 'repeat'. Did you mean 'repeats'"),
        (PROMPTS + "[sampling]\nrepeats = 3", r"line 6: repeats stands below \[sampling\].*write it above the first \["),
        ("", 'an experiment must have prompts: .* with a name and user = "..."'),
        ("prompts = []", "line 1: prompts is empty"),
        ("prompts = 5", "line 1: prompts must be a list, not 5"),
        ("[prompts]\nuser = 'x'", "line 1: prompts must be a list, not {user = 'x'}"),
        ("[[prompts]]\nusr = 'x'", "line 2: unknown key of a prompt 'usr'. Did you mean 'user'"),
        ("[[prompts]]\nname = 'x'", r"line 1: prompts\[0\] must have one of user, messages and text, but it has none of them"),
        ("[[prompts]]\nuser = 'x'\ntext = 'x'", "but it has user and text"),
        ("[[prompts]]\ntext = 'x'\nsystem = 'x'", r"line 3: prompts\[0\].system belongs to a prompt of messages"),
        ("[[prompts]]\nuser = 'x'\nraw = true", r"line 3: prompts\[0\].raw belongs to a text"),
        ("[[prompts]]\ntext = ''", r"line 2: prompts\[0\].text must be a text to send"),
        ("[[prompts]]\nuser = 'x {{'", r"line 2: prompts\[0\].user: '\{\{' must be a variable"),
        ("[[prompts]]\nmessages = [\n{role='user', content='x'},\n{role='usr', content='x'}]", "unknown role 'usr'. Did you mean 'user'"),
        ("[[prompts]]\nmessages = [\n{role='user', content='x'},\n{rol='user', content='x'}]", "line 4: unknown key of a message 'rol'"),
        ("[[prompts]]\nsystem='x'\nmessages = [{role='system', content='x'}]", "line 2: .* second system message"),
        ("[[prompts]]\nname='a'\nuser='x'\n[[prompts]]\nname='a'\nuser='y'", "line 4: there are two prompts named 'a'"),
        ("[[prompts]]\nuser = 'Hi {{y}}'\n[variables]\nx = ['a']",
         r"line 2: prompts\[0\].user: unknown variable 'y'. .*Known: x"),
        ("[[prompts]]\nmessages = [\n{role='user', content='a'},\n{role='assistant', content='{{y}}'}]\n[variables]\nx = ['a']",
         r"line 4: prompts\[0\].messages\[1\].content: unknown variable 'y'"),
        ("prompts = ['Hi {{y}}']", r"names \{\{y\}\}, but there are no \[variables\] and no cases"),
        ("prompts = ['Hi']\nsystem = ['a {{y}}']", r"line 2: system\[0\] names \{\{y\}\}, but there are no"),
        ("prompts = ['Hi']\n[variables]\nx = ['a']", "line 3: no prompt names the variable 'x'"),
        (PROMPTS + "[[cases]]\nx = 'b'", "line 4: the variable 'x' has values in cases already"),
        ("cases = 'no.csv'\n" + PROMPTS, "line 1: cases: cannot read .*no.csv"),
        ("formats = ['lama2']\n" + PROMPTS, r"line 1: formats\[0\]: unknown format 'lama2'. Did you mean 'llama2'"),
        ("formats = ['auto', 'auto']\n" + PROMPTS, "two formats named 'auto'"),
        ("formats = ['llama2']\n[[prompts]]\ntext = 'x'\nraw = true", "line 2: the prompt 'prompt' is raw.* leave formats out"),
        ("[[prompts]]\nuser='x'\nsystem='x'\n[[system]]\ntext='y'",
         "line 1: the prompt 'prompt' has a system message of its own, so it cannot be asked under those"),
        ("[[prompts]]\ntext='x'\n[[system]]\ntext='y'", "the prompt 'prompt' is a text, which has its own system message in it"),
        ("repeats = 0\n" + PROMPTS, "line 1: repeats must be a whole number from 1 to 100000, not 0"),
        (f"repeats = 2\nseed = {MAX_SEED}\n" + PROMPTS, "line 2: seed must be a whole number from 0"),
        ("repeats = 2\nseeds = [1]\n" + PROMPTS, "line 1: repeats and seeds both say"),
        ("seeds = [1, 1]\n" + PROMPTS, "line 1: there are two seeds named '1'"),
        ("seconds = 0\n" + PROMPTS, "line 1: seconds must be a number from 0.001"),
        ("retries = -1\n" + PROMPTS, "line 1: retries must be a whole number from 0 to 100"),
        (PROMPTS + "[sampling]\ntemperature = 3", "line 6: temperature must be a number from 0 to 2, not 3"),
        (PROMPTS + "[draws]\ncount = 2\n[[variants]]\ntop_k = 1", r"line 5: draws make variants, and \[\[variants\]\] lists them"),
        (PROMPTS + "[draws]\ncount = 2", "line 6: draws.count is 2, but only 1 different variants"),
        (PROMPTS + "[record]\nlogprobs = 21", "line 6: record.logprobs must be a whole number from 0 to 20"),
        (PROMPTS + "[record]\nlogprob = 2", "line 6: unknown key of record 'logprob'. Did you mean 'logprobs'"),
        (PROMPTS + "[[scores]]\ncontain = 'x'", "line 6: unknown kind of score 'contain'. Did you mean 'contains'"),
        (PROMPTS + "[[scores]]\nname = 'x'", r"line 5: scores\[0\] must have one kind of score, like contains, but it has none"),
        (PROMPTS + "[[scores]]\nregex = '('", r"line 6: scores\[0\]: regex must be a regular expression"),
        (PROMPTS + "[[scores]]\nexact = true", "line 5: the score 'exact' is measured against expected answers, but no case has one"),
        (PROMPTS + "[[scores]]\ncontains = 'a'\n[[scores]]\ncontains = 'a'", "line 7: there are two scores named 'contains a'"),
        (PROMPTS + "[[continuations]]\nname = 'a'", r"line 5: continuations\[0\] must have a text"),
        (PROMPTS + "[[continuations]]\ntext = ''", "line 6: .* must be a text that is not empty"),
        (PROMPTS + "[sampling]\ntop_k = {from=1, to=1000, step=1}\nmax_tokens = [1,2,3]", None),
        ("repeats = 100000\n" + PROMPTS + "[sampling]\ntop_k = {from=1, to=1000, step=1}",
         "the experiment makes 100000000 trials, but a run may have at most 1000000; vary less at a time"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_with_its_line(tmp_path, text, sentence):
    if sentence is None:
        assert len(of_file(tmp_path, text).plan().cells) == 3000
        return
    with pytest.raises(InputError, match=sentence) as caught:
        of_file(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "sweep.toml"))
    assert "\n" not in str(caught.value)


def test_where_there_is_no_file_the_key_is_told():
    with pytest.raises(InputError, match=r"^prompts\[0\].user must be a text, not 5$"):
        Experiment(prompts=[{"user": 5}])
    with pytest.raises(InputError, match="^mine: repeats must be"):
        Experiment.of({"prompts": "Hi", "repeats": "many"}, where="mine")
    with pytest.raises(TypeError):
        Experiment(prompt="Hi")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["tokens", "diversity", "abstains"])
def test_no_score_hides_a_measure(tmp_path, name):
    path = tmp_path / "x.toml"
    path.write_text(f'prompts = ["x"]\n[[scores]]\nname = "{name}"\ncontains = "x"\n', encoding="utf-8")
    with pytest.raises(InputError, match=rf"line 3: scores\[0\] is named '{name}' like a measure"):
        Experiment.read(path)


def test_a_score_that_is_a_measure_may_have_its_name_and_its_opposite_has_another():
    names = [
        check.name
        for check in Experiment(name="x", prompts="x", scores=[{"abstains": True}, {"abstains": False}]).plan().checks
    ]
    assert names == ["abstains", "abstains false"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"prompts": ["x", "x"]}, r"prompts\[1\] is the same prompt as prompts\[0\]"),
        ({"prompts": [{"name": "a", "user": "x"}, {"name": "b", "user": "x"}]}, "the same prompt"),
        ({"prompts": "x", "system": ["s", "s"]}, r"system\[1\] is the same system prompt as system\[0\]"),
    ],
)
def test_what_is_asked_twice_is_no_further_unit(more, sentence):
    with pytest.raises(InputError, match=sentence):
        Experiment(name="x", **more).plan()


def test_the_environments_server_identifies_the_experiment_by_what_it_was(monkeypatch):
    monkeypatch.setenv("PUNA_URL", "sagemaker:one")
    monkeypatch.setenv("PUNA_FORMAT", "llama2")
    one = Experiment(prompts="Hi", targets=[{"name": "there", "url": "PUNA_URL"}])
    assert one.definition["targets"] == [
        {"name": "there", "url": "sagemaker:one", "api": "sagemaker", "endpoint": "one", "format": "llama2"}
    ]
    monkeypatch.setenv("PUNA_URL", "sagemaker:two")
    two = Experiment(prompts="Hi", targets=[{"name": "there", "url": "PUNA_URL"}])
    assert identity(one.plan()) != identity(two.plan())
