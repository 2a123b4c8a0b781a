from dataclasses import replace

from puna.experiments.labels import COORDINATES, counted, labeller, named

from .made import CASES, SYSTEMS, plan_of


def test_a_label_has_all_that_varies_and_nothing_else():
    cells = plan_of(temperatures=(0, 1), top_ps=(1.0,), cases=CASES[:1], systems=SYSTEMS).cells
    label = labeller(cells)
    assert [label(cell) for cell in cells] == [
        "none, temperature=0",
        "none, temperature=1",
        "pirate, temperature=0",
        "pirate, temperature=1",
    ]
    assert labeller(cells, but=("variant",))(cells[2]) == "pirate"


def test_every_coordinate_tells_cells_apart():
    (cell,) = plan_of(temperatures=(0,), top_ps=(1.0,), cases=CASES[:1]).cells
    for name in COORDINATES:
        other = replace(cell, **{name: "another"})
        assert labeller((cell, other))(other) == "another", name


def test_one_cell_is_called_by_its_prompt():
    cells = plan_of(temperatures=(0,), top_ps=(1.0,), cases=CASES[:1]).cells
    assert labeller(cells)(cells[0]) == "story"
    assert labeller((replace(cells[0], prompt=""),))(replace(cells[0], prompt="")) == "(no name)"


def test_no_word_stands_twice_and_one_is_one():
    assert [named("system", value) for value in ("system 1", "pirate", "systematic")] == [
        "system 1",
        "system pirate",
        "system systematic",
    ]
    assert [counted(n, "cell") for n in (0, 1, 2, 12000)] == ["0 cells", "1 cell", "2 cells", "12,000 cells"]
