"""Every value of a TOML text has the line on which it stands."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.experiments.lines import lines

TEXT = '''# a comment = 1
name = "x" # [no]
a.b."c.d" = 1
[t] # a head
s = """
[[nope]]
k = 1
""""
l = [1, # one
  [2,
   "]"],
  {x = 1, "y z" = [1, 2]},
]
d = [1979-05-27 07:32:00, 1979-05-27]
q = \'\'\'a
'b\'\'\'\'
[[p]]
n = "#"
[[p.m]]
r = 1
[[p.m]]
r = 2
[p.z]
v = 'it"s'
[[p]]
[[p.m]]
r = 3
e = []
f = {}
'''


def paths(value, path=()):
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from paths(each, (*path, key))


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n")], ids=["lf", "crlf"])
def test_every_path_has_its_line(text):
    found = lines(text)
    assert set(paths(tomllib.loads(text))) == set(found)
    told = {
        path: number for path, number in found.items() if path[-1] in {"name", "s", "l", "y z", "q", "n", "v", "e", "f"}
    }
    shown = TEXT.splitlines()
    for path, number in told.items():
        assert str(path[-1]) in shown[number - 1], path


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("t", "l", 1), 10),
        (("t", "l", 1, 1), 11),
        (("t", "l", 2, "y z", 1), 12),
        (("p", 0), 17),
        (("p", 0, "m", 1, "r"), 22),
        (("p", 1), 25),
        (("p", 1, "m", 0, "r"), 27),
    ],
)
def test_entries_of_arrays_are_counted_under_the_table_they_belong_to(path, line):
    assert lines(TEXT)[path] == line


def test_lines_before_a_value_that_begins_elsewhere_do_not_count():
    assert lines('a = """\n\n"""\nb = 1\n') == {("a",): 1, ("b",): 4}


quoted = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
long = st.text(st.sampled_from('ab\n#[]{}=,"')).map(lambda text: '"""' + text.replace('"', '\\"') + '"""')


@given(st.lists(quoted | long | st.sampled_from(["1", "true", "[]", "[[1, 2],\n\n [3]]", "{a = {b = 1}}", "0.5 # x"])))
def test_any_values_under_any_keys(values):
    text = "".join(f"k{n} = {value}\n" for n, value in enumerate(values))
    found = lines(text)
    line = 1
    for n, value in enumerate(values):
        assert found[f"k{n}",] == line
        line += value.count("\n") + 1
    assert set(found) == set(paths(tomllib.loads(text)))
