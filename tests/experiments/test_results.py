"""A run's results in Python: a sequence of rows, and data frames."""

import builtins
import re

import pandas as pd
import polars as pl
import pytest

from puna.errors import InputError
from puna.experiments.exporting import columns_of
from puna.experiments.results import Results
from puna.experiments.store import Store
from tests.experiments import made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def results(path):
    with Store.open(path) as store:
        made.fill(store, made.plan_of(temperatures=(0.0, 1.0), top_ps=(1.0,), repeats=2), failing={(1, 1)})
    return Results.read(path)


def test_results_are_a_sequence_of_rows(results, path):
    assert len(results) == len(list(results)) == 8
    assert results[0].output == results[:2][0].output == next(iter(results)).output
    assert results[-1].cell.index == 3
    assert (results.store, results.run.state) == (path, "complete")
    assert [(row.cell.index, row.repeat, row.outcome.reason) for row in results.failed] == [
        (1, 1, "no answer within 300 s")
    ]
    assert results[0].outcome.logprobs, "log-probabilities are there for measures that need them"
    assert re.fullmatch(r"<Results of 'story temperature', run \S+: 8 rows, 1 failed>", repr(results))


def test_a_run_is_found_by_its_id(results, path):
    with Store.open(path) as store:
        store.begin(made.plan_of(), "another")
    assert Results.read(path, results.run.id[:-1]).run.id == results.run.id
    assert repr(Results.read(path)).endswith("0 rows, 96 missing>")
    with pytest.raises(InputError, match="there is no store"):
        Results.read(path.with_name("other.db"))


def test_data_frames_have_types_whatever_is_missing(results):
    pandas, polars = results.to_pandas(), results.to_polars()
    assert list(pandas) == polars.columns == list(columns_of(results))
    assert (pandas["output_tokens"].dtype, pandas["reproducible"].dtype, pandas["temperature"].dtype) == (
        pd.Int64Dtype(), pd.BooleanDtype(), "float64",
    )  # fmt: skip
    assert polars.schema["output_tokens"] == pl.Int64
    assert pandas["output_tokens"].isna().sum() == polars["output_tokens"].null_count() == 1
    assert pandas["output"].tolist() == polars["output"].to_list() == [row.output for row in results]
    assert pandas.groupby("temperature")["output_tokens"].mean().shape == (2,)


def test_results_export(results, tmp_path):
    results.export(tmp_path / "rows.parquet")
    assert pl.read_parquet(tmp_path / "rows.parquet").height == 8


@pytest.mark.parametrize(
    ("module", "use", "sentence"),
    [
        ("pandas", Results.to_pandas, "pip install pandas"),
        ("polars", Results.to_polars, r"pip install 'puna\[parquet\]'"),
        ("polars", lambda results: results.export("rows.parquet"), r"pip install 'puna\[parquet\]'"),
    ],
    ids=["pandas", "polars", "parquet"],
)
def test_what_is_not_installed_is_told(results, monkeypatch, module, use, sentence):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == module:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.chdir(results.store.parent)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=sentence):
        use(results)
    assert [each.name for each in results.store.parent.iterdir()] == ["runs.db"]
