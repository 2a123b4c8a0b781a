"""What a run came to, for Python and notebooks: its rows in a sequence, and as data frames. Knows the store it reads; runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self, overload

from puna.errors import InputError
from puna.experiments import exporting
from puna.experiments.rows import Row
from puna.experiments.store import RunInfo, Store


class Results(Sequence[Row]):
    """The rows of a run, in the order of its trials. store: the file that has them. run: what the run is and how it stands."""

    def __init__(self, rows: Sequence[Row], run: RunInfo, store: Path) -> None:
        self._rows = tuple(rows)
        self.run = run
        self.store = store

    @classmethod
    def read(cls, store: str | Path = "runs.db", run: str | None = None) -> Self:
        """A run's results from the store at a path. run: its id or the beginning of it; None for the newest.

        Raises:
            InputError: no such store, or no such run in it.
        """
        with Store.open(store, create=False) as opened:
            return cls.of(opened, run)

    @classmethod
    def of(cls, store: Store, run: str | None = None) -> Self:
        """A run's results from an open store. run: its id or the beginning of it; None for the newest.

        Raises:
            InputError: no such run.
        """
        found = store.run(run)
        return cls(store.rows(found.id, logprobs=True), found, store.path)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        missing = f", {self.run.missing} missing" if self.run.missing else ""
        return f"<Results of {self.run.name!r}, run {self.run.id}: {len(self)} rows{failed}{missing}>"

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows that have no answer; their ``outcome.reason`` says why."""
        return tuple(row for row in self._rows if not row.ok)

    def records(self) -> list[dict[str, Any]]:
        """A flat record for each row, all with the same names: ``puna.experiments.exporting.COLUMNS`` and the variables."""
        return exporting.records(self._rows)

    def to_pandas(self) -> Any:
        """The records as a ``pandas.DataFrame``; whole numbers and truth values are of the types that may be missing.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415  # only for those who use it
        except ImportError:
            raise InputError("a data frame of pandas needs pandas: pip install pandas") from None
        columns = exporting.columns_of(self._rows)
        frame = pd.DataFrame(self.records(), columns=list(columns))
        types = {int: "Int64", float: "float64", bool: "boolean"}
        return frame.astype({name: types[kind] for name, kind in columns.items() if kind in types})

    def to_polars(self) -> Any:
        """The records as a ``polars.DataFrame``.

        Raises:
            InputError: polars is not installed.
        """
        return exporting.frame_of(self._rows)

    def export(self, path: str | Path, format: str | None = None) -> None:  # noqa: A002
        """Write the records into a file. format: csv, jsonl or parquet; None for what its name ends in.

        Raises:
            InputError: an unknown format, or a file that cannot be written.
        """
        exporting.export(self._rows, path, format)
