"""Cases come from lists, tables and files; what is wrong in a file is told with its line."""

import pytest

from puna.errors import InputError
from puna.experiments import cases
from puna.experiments.experiment import Experiment
from puna.experiments.file import Given, Source
from puna.experiments.plan import Case


def in_file(folder, name, data):
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return cases.of_file(Given(name, ("cases",), Source("sweep.toml", folder, {("cases",): 7})))


def test_every_combination_of_value_lists_is_a_case():
    made = cases.of_lists(Given({"animal": ["llama", "condor"], "n": [1, 2.5]}, ("variables",)))
    assert [dict(case.values) for case in made] == [
        {"animal": "llama", "n": "1"},
        {"animal": "llama", "n": "2.5"},
        {"animal": "condor", "n": "1"},
        {"animal": "condor", "n": "2.5"},
    ]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"animal": []}, "variables.animal is empty"),
        ({"animal": "llama"}, "variables.animal must be a list, not 'llama'"),
        ({"animal": ["a", "a"]}, "has the value 'a' twice"),
        ({"animal": [True]}, r"variables.animal\[0\] must be a text or a number, not true"),
        ({"animal": ["a\0"]}, r"character 1 is NUL"),
        ({"animal": ["\ud800"]}, "lone surrogate"),
        ({"a": list(range(400)), "b": list(range(400))}, "160000 combinations, but may have at most 100000"),
    ],
)
def test_bad_value_lists_are_refused(variables, sentence):
    with pytest.raises(InputError, match=sentence):
        cases.of_lists(Given(variables, ("variables",)))


CSV = 'name,question,expected\nfirst,"When, where?",1889\n\n,"Two\nlines ""quoted""",\n'
JSONL = (
    '{"name": "first", "question": "When, where?", "expected": 1889}\n\n'
    '{"name": "", "question": "Two\\nlines \\"quoted\\"", "expected": ""}\n'
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("c.csv", CSV),
        ("c.CSV", CSV.replace("\n", "\r\n").replace("Two\r\n", "Two\n")),
        ("c.csv", b"\xef\xbb\xbf" + CSV.encode()),
        ("c.jsonl", JSONL),
    ],
)
def test_the_same_cases_in_each_kind_of_file(tmp_path, name, data):
    one, other = in_file(tmp_path, name, data)
    assert one == Case("first", {"name": "first", "question": "When, where?", "expected": "1889"}, "1889")
    assert other.values["question"] == 'Two\nlines "quoted"'
    assert (other.name, other.expected) == ("", None)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("c.csv", "a,b\n1,2\n3\n", r"c.csv, line 3: 1 fields, but the head has 2 \(a, b\)"),
        ("c.csv", 'a,b\n"x\ny",2\n3,4,5\n', "c.csv, line 4: 3 fields"),
        ("c.csv", 'a,b\n1,"x"y\n', "c.csv, line 2: this is not CSV"),
        ("c.csv", 'a,b\n1,"x\n', "c.csv, line 2: this is not CSV"),
        ("c.csv", "a,\n1,2\n", "c.csv, line 1: the head must name every column, but column 2 has no name"),
        ("c.csv", "a,a\n1,2\n", "the head names the column 'a' twice"),
        ("c.csv", "a;b\n1;2\n", "must have commas between its names, but it is 'a;b'"),
        ("c.csv", "a,b\n", "c.csv has no cases; write one per line below the head"),
        ("c.csv", "", "c.csv has no cases"),
        ("c.csv", "a\nx\0y\n", "c.csv, line 2: 'a' must be text, but character 1 is NUL"),
        ("c.csv", b"a,b\n1,2\n3,\xe4\n", r"sweep.toml, line 7: cases: .*c.csv, line 3: byte 10 is not UTF-8 \(0xe4\); save the file"),
        ("c.jsonl", '{"a": 1}\n{"a": 2\n', "c.jsonl, line 2: this is not JSON"),
        ("c.jsonl", '{"a": 1}\n[1]\n', r"c.jsonl, line 2: it must be an object like .*, not '\[1\]'"),
        ("c.jsonl", '{"a": 1}\n{"b": 1}\n', "c.jsonl, line 2: its keys are b, but those of the first case are a"),
        ("c.jsonl", '{"a": [1]}\n', r"c.jsonl, line 1: 'a' must be a text or a number, not \[1\]"),
        ("c.jsonl", '{"a": "\\ud800"}\n', "c.jsonl, line 1: 'a' must be text, but character 0 is the lone surrogate"),
        ("c.jsonl", "[" * 100_000, "c.jsonl, line 1: it is nested too deeply"),
        ("c.jsonl", "\n\n", "c.jsonl has no cases"),
        ("c.txt", "a", "cases must be the name of a .csv or .jsonl file, not 'c.txt'"),
        ("c.jsonl", '{"a": 1}\n' * 100_001, "at most 100000 cases, but it has more"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_with_its_line(tmp_path, name, data, sentence):
    with pytest.raises(InputError, match=sentence):
        in_file(tmp_path, name, data)


def test_a_file_that_is_not_there_is_told_with_the_line_that_names_it(tmp_path):
    with pytest.raises(InputError, match=r"sweep.toml, line 7: cases: cannot read .*no.csv: No such file"):
        cases.of_file(Given("no.csv", ("cases",), Source("sweep.toml", tmp_path, {("cases",): 7})))


def test_a_folder_is_no_file_of_cases(tmp_path):
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(InputError, match="cannot read .*d.csv: Is a directory"):
        cases.of_file(Given("d.csv", ("cases",), Source("sweep.toml", tmp_path)))


def test_tables_of_cases_must_have_the_same_variables():
    (one,) = cases.of_records(Given([{"question": "q", "expected": 5}], ("cases",)))
    assert one == Case("", {"question": "q", "expected": "5"}, "5")
    with pytest.raises(InputError, match=r"cases\[1\] has b, but the first case has a; give each case the same"):
        cases.of_records(Given([{"a": "1"}, {"b": "2"}], ("cases",)))


# ---- what a prompt makes of cases


PAIRS = tuple(
    Case(values={"animal": animal, "place": place}) for animal in ("llama", "condor") for place in ("Lima", "Cusco")
)


def test_cases_that_a_prompt_does_not_tell_apart_are_one():
    assert [case.name for case in cases.narrowed(PAIRS, ["animal"])] == ["llama", "condor"]
    assert [case.name for case in cases.narrowed(PAIRS, ["animal", "place"])] == [
        "llama, Lima",
        "llama, Cusco",
        "condor, Lima",
        "condor, Cusco",
    ]
    assert cases.narrowed(PAIRS, []) == (Case(),)


def test_names_are_short_one_line_and_different():
    long = [Case(values={"q": f"{'word ' * 20}\n{n}"}) for n in range(2)] + [Case(values={"q": ""})]
    assert [case.name for case in cases.narrowed(long, ["q"])] == [
        "word word word word word word word wo...",
        "word word word word word word word wo... (2)",
        "empty",
    ]


def test_given_names_stay():
    named = [Case("first", {"q": "1"}), Case("", {"q": "2"})]
    assert [case.name for case in cases.narrowed(named, ["q"])] == ["first", "2"]


def test_cases_that_only_their_answers_tell_apart_are_refused():
    with pytest.raises(
        InputError, match="two cases with q=1 expect 'a' and 'b'; name the variable that tells them apart"
    ):
        cases.narrowed([Case(values={"q": "1"}, expected="a"), Case(values={"q": "1"}, expected="b")], ["q"])


def test_a_prompt_without_variables_expects_what_all_cases_do():
    same = [Case(values={"q": n}, expected="a") for n in "12"]
    assert cases.narrowed(same, []) == (Case(expected="a"),)
    assert cases.narrowed([*same, Case(values={"q": "3"}, expected="b")], []) == (Case(),)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("c.jsonl", '{"a": 1}\n{"a": 1, "a": 2}\n', r"c.jsonl, line 2: .*the key 'a' is there twice"),
        ("c.jsonl", '{"a": NaN}\n', r"c.jsonl, line 1: .*NaN is no number of JSON"),
        ("c.jsonl", '{"a": 1e999}\n', r"c.jsonl, line 1: 'a' must be a text or a number"),
        ("c.jsonl", '{"a": ' + "[" * 100_000 + "\n", r"c.jsonl, line 1: it is nested too deeply"),
        ("c.csv", "a\n" + "x" * 300_000 + "\n", r"c.csv, line 2: a field has more than 131072 characters"),
        ("c.csv", "a\n", r"c.csv has no cases"),
    ],
)
def test_a_bad_line_is_told_with_the_experiment_that_names_the_file(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path / "x.toml"
    path.write_text(f'prompts = ["{{{{a}}}}"]\ncases = "{name}"\n', encoding="utf-8")
    with pytest.raises(InputError, match=rf"x.toml, line 2: cases: .*{sentence}"):
        Experiment.read(path)


def test_a_whole_number_is_taken_as_far_as_it_can_be_written_out():
    assert [case.values["n"] for case in cases.of_lists(Given({"n": [10**400]}))] == [str(10**400)]
    with pytest.raises(InputError, match=r"n\[0\] must be a text or a number, not a number of 20001 bits"):
        cases.of_lists(Given({"n": [16**5000]}))
