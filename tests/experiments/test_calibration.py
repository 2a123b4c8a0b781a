"""The probability that an answer is right: fitted as it says it is, on the fit half alone, and kept with what it was fitted on."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from puna.context.questions import INSTRUCTION
from puna.errors import InputError
from puna.experiments import calibration
from puna.experiments.abstention import abstains
from puna.experiments.answerable import Signals
from puna.experiments.calibration import Calibrated, Logistic, digest, fitted, model_of
from puna.experiments.judged import Judged, is_right
from puna.experiments.questions import questions

ROOT = Path(__file__).parents[2]
NONE = Signals(-0.5, -2.0, 1.0, 1.0, -5.0, 0.5, 0.5)


def made(n=240, documents=24, seed=5, **weights):
    """Answers that are right as their signals' weights say."""
    random = np.random.default_rng(seed)
    rows = []
    for at in range(n):
        drawn = dict(zip(calibration.CANDIDATES, random.normal(size=7).tolist(), strict=True))
        chance = 1 / (1 + math.exp(-sum(weight * drawn[name] for name, weight in weights.items())))
        right = bool(random.random() < chance)
        can = right or bool(random.random() < 0.3)
        rows.append(
            Judged(f"q{at}", f"d{at % documents}", can, "It is.", False, right, 0.5, ("d0",), 1.0, Signals(**drawn))
        )
    return rows


def test_the_weights_minimise_what_the_module_says():
    rows = made(contrast=1.5, support=-0.7)
    names, outcomes = ("contrast", "support"), np.array([float(one.right) for one in rows])
    found = calibration.regression([one.signals for one in rows], outcomes, names)
    values = np.array([[one.signals.contrast, one.signals.support] for one in rows])
    standard = (values - values.mean(axis=0)) / values.std(axis=0)

    def loss(at):
        logits = at[0] + standard @ at[1:]
        return (
            np.logaddexp(0, np.where(outcomes > 0, -logits, logits)).sum()
            + calibration.PENALTY / 2 * (at[1:] ** 2).sum()
        )

    best = optimize.minimize(loss, np.zeros(3), tol=1e-10).x
    assert (found.intercept, *found.weights) == pytest.approx(best, abs=1e-4)
    assert found.probability(rows[0].signals) == pytest.approx(
        1 / (1 + np.exp(-(best[0] + standard[0] @ best[1:]))), abs=1e-4
    )


def test_signals_that_tell_something_take_part_and_others_do_not():
    fit = fitted("here", made(n=600, contrast=2.0, support=1.5))
    assert fit.right.names[:2] == ("contrast", "support")
    assert len(fit.right.names) <= 3
    assert len(fitted("here", made(n=600)).right.names) <= 2


def test_a_probability_that_judges_a_document_was_fitted_without_it():
    rows = made(contrast=1.0)
    values = np.array([[one.signals.contrast] for one in rows])
    groups, outcomes = [one.document for one in rows], np.array([float(one.right) for one in rows])
    turned = np.where(np.array(groups) == "d3", 1 - outcomes, outcomes)
    one, other = (calibration.left_out(values, each, groups) for each in (outcomes, turned))
    mine = np.array(groups) == "d3"
    assert one[mine].tolist() == other[mine].tolist()
    assert not np.allclose(one[~mine], other[~mine])


def test_answers_that_abstain_take_no_part_but_their_questions_are_told():
    rows = made(contrast=1.0)
    silent = [replace(one, abstained=True, right=False) for one in rows[:40]]
    some, others = fitted("here", [*silent, *rows[40:]]), fitted("here", rows[40:])
    assert some.right == others.right
    assert some.questions != others.questions


def test_a_fit_is_kept_and_read_beside_others(tmp_path):
    path = tmp_path / "fits.json"
    one, other = fitted("one", made(contrast=1.0)), fitted("other", made(seed=6, unknown=-1.0))
    one.save(path)
    other.save(path)
    for fit in (one, other):
        read = Calibrated.load(fit.model, path)
        assert read.probability(NONE) == pytest.approx(fit.probability(NONE), abs=1e-3)
        assert read.questions == fit.questions
        assert read.as_json() == fit.as_json()


def test_a_model_that_was_not_fitted_and_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"fitted for .*, not for 'llama-2-7b'; fit it .*--model"):
        Calibrated.load("llama-2-7b")
    for text in ("[]", '{"a": 1}', "no json"):
        path = tmp_path / "wrong.json"
        path.write_text(text)
        with pytest.raises(InputError, match="must be a file that Calibrated.save wrote"):
            Calibrated.load("a", path)
        with pytest.raises(InputError, match="must be a file that"):
            fitted("here", made(contrast=1.0)).save(path)
    with pytest.raises(InputError, match="cannot be read"):
        Calibrated.load("a", tmp_path / "missing.json")


@pytest.mark.parametrize("rows", [[], made()[:1], [replace(one, right=True) for one in made()]])
def test_too_little_to_fit(rows):
    with pytest.raises(InputError, match="a fit needs answers to questions of two documents at least"):
        fitted("here", rows)


def test_a_signal_that_is_not_told_takes_no_part_and_is_missed_where_it_does():
    blind = [replace(one, signals=replace(one.signals, entropy=None)) for one in made(entropy=2.0)]
    assert "entropy" not in fitted("here", blind).right.names
    with pytest.raises(InputError, match="takes its entropy, which this engine does not tell"):
        fitted("here", made(entropy=2.0)).probability(replace(NONE, entropy=None))


def told(*pairs):
    nothing = Logistic(("contrast",), (0.0,), (1.0,), (1.0,), 0.0)
    return Calibrated("here", nothing, nothing, pairs, "", "")


def test_a_threshold_promises_a_risk_or_there_is_none():
    sure = told(*[(0.9, True)] * 60, *[(0.6, n < 40) for n in range(60)], *[(0.2, False)] * 60)
    assert sure.threshold(0.05) == 0.9
    assert sure.threshold(0.25) == 0.6
    assert sure.threshold(0.7) == 0.2
    assert told(*[(0.9, True)] * 3).threshold(0.1) is None
    assert told(*[(0.9, False)] * 50).threshold(0.5) is None
    for wrong in (0, 1, -1, 2, math.nan):
        with pytest.raises(InputError, match="above 0 and below 1"):
            sure.threshold(wrong)


def test_equal_probabilities_are_one_step():
    """A threshold keeps all answers at it: half of them cannot be chosen."""
    assert told(*[(0.5, True)] * 50, *[(0.5, False)] * 50).threshold(0.3) is None


def receipt(model, remote) -> Any:
    return SimpleNamespace(model=model, remote=remote)


def test_the_model_is_the_one_that_an_endpoint_tells():
    assert model_of(receipt("smollm2-135m", None)) == "smollm2-135m"
    assert model_of(receipt("llama-2-7b", {"model": "smollm2-135m"})) == "smollm2-135m"
    assert model_of(receipt("llama-2-7b", {"engine": "x"})) == "llama-2-7b"


def kept():
    lines = (ROOT / "benchmarks" / "abstention.jsonl").read_text(encoding="utf-8").splitlines()
    return {told["id"]: Judged.of_json(told) for told in map(json.loads, lines)}


def test_the_fit_that_ships_is_that_of_the_fit_half_alone():
    shipped, rows = Calibrated.load("smollm2-135m"), kept()
    mine = [rows[asked.id] for asked in questions("fit") if asked.id in rows]
    assert fitted("smollm2-135m", mine).as_json() == shipped.as_json()
    assert shipped.questions == digest(one.id for one in mine)
    assert len({one.document for one in mine}) >= 10
    assert {one.document for one in mine}.isdisjoint(asked.document.id for asked in questions("held-out"))


def test_answers_to_held_out_questions_change_nothing_that_is_fitted(tmp_path):
    """The script that fits, given other answers to them."""
    turned = [replace(one, answer="", abstained=True, right=False, signals=None) for one in kept().values()]
    held_out = {asked.id for asked in questions("held-out")}
    rows = [
        other if one.id in held_out and number % 2 else one
        for number, (one, other) in enumerate(zip(kept().values(), turned, strict=True))
    ]
    path, written = tmp_path / "rows.jsonl", tmp_path / "fit.json"
    path.write_text("".join(json.dumps(row.as_json()) + "\n" for row in rows), encoding="utf-8")
    script = ROOT / "benchmarks" / "abstention.py"
    done = subprocess.run(
        [sys.executable, script, path, "--judge", "--write", written], capture_output=True, text=True, check=True
    )
    assert json.loads(written.read_text())["smollm2-135m"] == Calibrated.load("smollm2-135m").as_json()
    assert json.loads(done.stdout.splitlines()[-1])["benchmark"] == "abstention"


def test_the_fit_that_ships_was_made_with_the_instruction_of_today():
    """Whoever changes the instruction measures again: python benchmarks/abstention.py NEW.jsonl --write."""
    assert Calibrated.load("smollm2-135m").instruction == digest([INSTRUCTION])


def test_the_answers_that_ship_are_judged_as_now():
    rows = kept()
    for asked in questions():
        if row := rows.get(asked.id):
            assert row.answerable == asked.answerable
            assert row.right == is_right(row.answer, asked.answers), asked.id
            assert row.abstained == (abstains(row.answer) or not row.found), asked.id
