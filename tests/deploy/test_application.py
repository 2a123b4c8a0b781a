"""What is refused before Ray starts, and how the figures of replicas are put together."""

from __future__ import annotations

import sys

import pytest
from prometheus_client import CollectorRegistry, Counter

from puna.deploy import app
from puna.deploy.application import ENVIRONMENT, places, prepare
from puna.deploy.gathering import Figures, merged
from puna.errors import InputError
from puna.settings import Settings


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"slot": "2"}, "slot is no setting"),
        ({"slots": "many"}, "whole number"),
        ({"auth_token": "secret"}, "auth_token is no setting"),
        ({"min_replicas": "0"}, "1 <= min_replicas"),
        ({"min_replicas": 3, "max_replicas": 2}, "1 <= min_replicas"),
        ({"max_replicas": "x"}, "1 <= min_replicas"),
    ],
)
def test_bad_arguments_are_refused(args: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        app(dict(args))


def test_missing_ray_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.serve", None)
    with pytest.raises(InputError, match=r"pip install 'puna\[ray\]'"):
        prepare()


def test_a_replica_has_places_for_those_that_wait_where_their_beginning_is_cached() -> None:
    assert places(Settings(slots=3)) == 6
    assert places(Settings(engine="openai", upstream="http://127.0.0.1:1/v1")) > 100


def test_series_of_replicas_are_told_apart() -> None:
    answers = []
    for name, count in (("a", 1), ("b", 2)):
        registry = CollectorRegistry()
        Counter("asked", "Requests.", ["route"], registry=registry).labels("x").inc(count)
        answers.append(Figures(name, list(registry.collect())))
    asked, replicas = merged(answers)
    found = {(sample.name, sample.labels["replica"]): sample.value for sample in asked.samples}
    assert (found["asked_total", "a"], found["asked_total", "b"]) == (1, 2)
    assert [sample.value for sample in replicas.samples] == [2]
