"""A TOML file is read or refused in one sentence, and its values know where they stand."""

import pytest

from puna.errors import InputError
from puna.experiments.file import Given, Source, read


def written(folder, data):
    path = folder / "sweep.toml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_values_know_their_lines(tmp_path):
    given = read(written(tmp_path, '\ufeffname = "x"\n\n[[prompts]]\nname = 5\n'))
    prompt = given.table("key", ["name", "prompts"])["prompts"].entries()[0]
    with pytest.raises(InputError, match=r"sweep.toml, line 4: prompts\[0\].name must be a text, not 5$"):
        prompt.table("key")["name"].text()
    with pytest.raises(InputError, match=r"sweep.toml, line 3: unknown key 'prompts'. Known: name$"):
        given.table("key", ["name"])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("name = ", "must be a TOML file, but: Invalid value"),
        ("a = 1\na = 2\n", "must be a TOML file, but: Cannot overwrite a value .at line 2"),
        (b"name = '\xff'\n", "sweep.toml, line 1: byte 8 is not UTF-8"),
        ("a = " + "[" * 5000 + "]" * 5000, "has values that are nested too deeply"),
        (
            "a = 1\n[b]\nc = [0x" + "f" * 5000 + "]",
            r"sweep.toml, line 3: b.c\[0\] must be a number of at most 4096 bits",
        ),
        ("a = " + "9" * 5000, "has a whole number of more than 4300 digits"),
        (b"#" * (16 * 1024 * 1024 + 1), "must be a TOML file of at most 16 MiB, but it is larger"),
    ],
    ids=["syntax", "twice", "bytes", "deep", "hexadecimal", "digits", "large"],
)
def test_a_bad_file_is_refused(tmp_path, data, sentence):
    with pytest.raises(InputError, match=sentence):
        read(written(tmp_path, data))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for name in ("no.toml", "", "a\0b"):
        with pytest.raises(InputError, match="cannot read "):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("value", "ask", "sentence"),
    [
        (5, Given.text, "it must be a text, not 5"),
        ("a\0", Given.text, r"it must be text, but character 1 is NUL \(U\+0000\); remove it"),
        (" ", Given.label, "it must be a name: one line of text, not empty, not ' '"),
        ("a\nb", Given.label, "it must be a name"),
        ("a\u202eb", Given.label, "it must be a name"),
        (1, Given.flag, "it must be true or false, not 1"),
        (True, lambda given: given.whole(0, 5), "it must be a whole number from 0 to 5, not true"),
        (6, lambda given: given.whole(0, 5), "from 0 to 5, not 6"),
        (1.0, lambda given: given.whole(0, 5), "not 1.0"),
        (float("nan"), lambda given: given.number(0, 5), "it must be a number from 0 to 5, not nan"),
        (True, lambda given: given.number(0, 5), "not true"),
        ("lama", lambda given: given.choice("animal", ["llama"]), "it: unknown animal 'lama'. Did you mean 'llama'"),
        (5, lambda given: given.choice("animal", ["llama", "condor"]), "it must be one of condor, llama, not 5"),
        ([], Given.entries, "it is empty, so there is nothing to run"),
        ({"a": [1, True]}, Given.entries, r"it must be a list, not \{a = \[1, true\]\}"),
        ([1], lambda given: given.table("key"), r"it must be a table of keys and values, not \[1\]"),
        ("x" * 200, lambda given: given.whole(0, 1), r"not 'x{59}\.\.\.$"),
    ],
)
def test_values_of_another_kind_are_refused(value, ask, sentence):
    with pytest.raises(InputError, match=sentence):
        ask(Given(value, ("it",)))


def test_where_the_line_is_unknown_the_file_is_told_and_for_python_only_the_key():
    assert str(Given(1, ("a", 0)).must("a text")) == "a[0] must be a text, not 1"
    assert str(Given(1, ("a",), Source("x.toml")).must("a text")) == "x.toml: a must be a text, not 1"
    inside = Given(1, ("a", "b", "c"), Source("x.toml", lines={("a",): 3}))
    assert str(inside.must("a text")) == "x.toml, line 3: a.b.c must be a text, not 1"
    assert str(Given(1).must("a text")) == "the experiment must be a text, not 1"


def test_a_name_may_be_written_as_its_language_and_emoji_are(tmp_path):
    for name in ("日本 👩\u200d👧", "می\u200cخواهم"):
        assert Given(name).label() == name


def test_a_number_too_long_to_be_written_out_is_told_by_its_size():
    with pytest.raises(InputError, match=r"must be a text, not a number of 20001 bits"):
        Given(16**5000).text()
