from dataclasses import replace

from puna.experiments.parity import ASPECTS, between, between_runs, between_targets
from puna.experiments.plan import Target

from .made import CASES, HERE, plan_of, rows_of


def rows(*targets, **given):
    return rows_of(
        plan_of(temperatures=(0.8,), top_ps=(1.0,), cases=CASES[:1], repeats=3, targets=targets or (HERE,), **given)
    )


def changed(row, **given):
    return replace(row, outcome=replace(row.outcome, **given))


def test_two_targets_with_the_same_model_are_the_same():
    (parity,) = between_targets(rows(HERE, Target("again")))
    assert (parity.a, parity.b) == ("here", "again")
    assert (parity.same, len(parity.twins)) == (3, 3)
    assert parity.counts == {}
    assert (parity.only_a, parity.only_b) == (0, 0)


def test_another_model_parts_at_a_token_that_is_told():
    (parity,) = between_targets(rows(HERE, Target("other")))
    assert parity.same == 0
    assert parity.counts["output"] == 3
    for twin in parity.twins:
        assert twin.character is not None
        assert twin.token is not None
        assert twin.a.output[: twin.character] == twin.b.output[: twin.character]
        assert twin.a.output[twin.character :][:1] != twin.b.output[twin.character :][:1]


def test_what_is_in_effect_and_what_was_defaulted_is_compared():
    mine = rows()
    theirs = [
        changed(
            row,
            sampling=replace(row.outcome.sampling, top_k=20),
            receipt={"defaulted": ["min_p"]},
            finish="length" if row.outcome.finish == "stop" else "stop",
            written_as="llama2",
            model_sha256="8" * 64,
        )
        for row in mine
    ]
    parity = between(mine, theirs, "a", "b")
    assert parity.twins[0].differs["sampling"] == ("top_k=50", "top_k=20")
    assert parity.twins[0].differs["defaults"] == ("top_k", "none of them"), "what both chose is left out"
    assert parity.counts == dict.fromkeys(("finish", "sampling", "defaults", "format", "model"), 3)
    assert parity.same == 3, "the answers are equal all the same"


def test_who_chose_a_value_is_no_difference_where_it_is_the_same():
    """Embedded, puna chooses; of a server it asks every parameter by name. What is in effect is the same."""
    mine = rows()
    told = mine[0].outcome.sampling.as_json()
    asked = [changed(row, receipt={"defaulted": [], "sampling": told}) for row in mine]
    assert between(mine, asked, "a", "b").counts == {}
    del told["min_p"]
    untold = [changed(row, receipt={"defaulted": [], "sampling": told}) for row in mine]
    (first, *_) = between(mine, untold, "a", "b").twins
    assert first.differs == {"defaults": ("min_p", "none of them")}, "and nobody knows whether it matters"


def test_two_failures_are_no_equal_answers():
    grid = plan_of(temperatures=(0.8,), top_ps=(1.0,), cases=CASES[:1], repeats=3)
    failed = rows_of(grid, failing={(0, 0), (0, 1)})
    parity = between(failed, failed, "a", "b")
    assert (parity.same, parity.unanswered, parity.apart) == (1, 2, ())
    assert parity.verdict == "1 of 1 answer is equal"
    assert parity.left_out() == ("2 trials have an answer on neither side",)
    none = rows_of(grid, failing={(0, repeat) for repeat in range(3)})
    assert between(none, none, "a", "b").verdict == "not comparable: no trial has an answer on either side"


def test_what_a_side_does_not_tell_is_not_compared():
    mine = rows()
    theirs = [
        replace(
            changed(row, usage=None, finish="unknown", receipt=None, written_as=None, model_sha256=None, logprobs=None),
            prompt_sha256=None,
            ids_sha256=None,
        )
        for row in mine
    ]
    parity = between(mine, theirs, "a", "b")
    assert parity.counts == {}
    assert parity.same == 3


def test_prompts_are_compared_by_their_ids_where_both_tell_them():
    mine = rows()
    texts = [replace(row, prompt_sha256="0" * 64) for row in mine]
    assert between(mine, texts, "a", "b").counts == {}, "the ids are equal, and they are what the model read"
    assert between(mine, [replace(row, ids_sha256=None) for row in texts], "a", "b").counts == {"prompt": 3}


def test_failures_and_absent_trials_are_counted():
    mine = rows()
    theirs = rows_of(plan_of(temperatures=(0.8,), top_ps=(1.0,), cases=CASES[:1], repeats=2), failing={(0, 1)})
    parity = between(mine, theirs, "a", "b")
    assert (len(parity.twins), parity.only_a, parity.only_b) == (2, 1, 0)
    assert parity.counts == {"state": 1}
    assert parity.same == 1


def test_runs_are_matched_by_target_names_where_they_have_them():
    one, two = rows(HERE, Target("other")), rows(Target("other"), HERE)
    assert [parity.same for parity in between_runs(one, two)] == [3, 3]
    (parity,) = between_runs(rows(HERE), rows(Target("again")))
    assert parity.same == 3, "one target each: no name needed"


def test_every_aspect_has_a_meaning():
    assert all(ASPECTS.values())
