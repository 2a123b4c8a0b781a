"""Summaries and comparisons, from rows to the sentence that a difference is real: also where nothing is."""

import numpy as np
import pytest

from puna.experiments import compare
from puna.experiments.measures import MEASURES, Measure
from puna.experiments.paired import Over
from puna.experiments.permutation import difference_interval, paired_permutation
from puna.experiments.similarity import diversity, pairwise_bleu
from puna.experiments.stats import Interval, mean_interval, power, wilson
from tests.experiments.made_rows import cell, row, rows

TOKENS = MEASURES["tokens"]


def summaries(*args, **kwargs):
    return compare.summaries(*args, **kwargs)


def comparisons(*args, **kwargs):
    return compare.comparisons(*args, **kwargs)


def diversities(*args, **kwargs):
    return compare.diversities(*args, **kwargs)


def diversity_comparisons(*args, **kwargs):
    return compare.diversity_comparisons(*args, **kwargs)


SAYS_YES = Measure(
    "yes", "", "whether it says yes", lambda row: float("yes" in row.output) if row.ok else None, share=True
)


def drawn(means, *, repeats=10, seed=1, **names):
    """A cell for each mean, at temperatures 0.1, 0.2 ..."""
    random = np.random.default_rng(seed)
    data = []
    for n, mean in enumerate(means):
        values = np.maximum(1, random.normal(mean, 5, repeats)).round()
        data += rows(cell(n, temperature=round(0.1 * (n + 1), 1), **names), dict(enumerate(values, 1)))
    return data


def test_a_summary_has_what_the_statistics_say_of_the_values():
    data = drawn([40, 60])
    cold, hot = summaries(data, TOKENS, "temperature")
    values = [float(each.outcome.usage.output) for each in data[:10]]
    assert cold.mean == mean_interval(values)
    assert (cold.label, cold.n, cold.failed, cold.over) == ("0.1", 10, 0, Over.REPEATS)
    assert hot.mean.estimate > cold.mean.high


def test_a_comparison_has_what_the_test_says_of_the_pairs():
    data = drawn([40, 60])
    (found,) = comparisons(data, TOKENS, "temperature")
    tokens = [each.outcome.usage.output for each in data]
    differences = [b - a for a, b in zip(tokens[:10], tokens[10:], strict=True)]
    assert found.difference == difference_interval(differences)
    assert found.p == found.p_holm == paired_permutation(differences) == pytest.approx(2 / 2**10)
    assert found.significant
    assert found.superiority == 1
    assert found.effect > 1
    assert not found.too_few


def test_holm_is_over_all_pairs_of_the_measure():
    found = comparisons(drawn([40, 43, 60]), TOKENS)
    assert len(found) == 3
    assert all(each.family == 3 for each in found)
    least = min(found, key=lambda each: each.p)
    assert least.p_holm == pytest.approx(3 * least.p)


def test_needed_repeats_would_show_the_difference():
    found = comparisons(drawn([40, 43, 44], repeats=12), TOKENS)
    unsure = next(each for each in found if not each.significant)
    sd = abs(unsure.difference.estimate / unsure.effect)
    assert power(unsure.repeats_for_this, sd, unsure.difference.estimate, 0.05 / 3) >= 0.8
    assert unsure.repeats_for_this > 12
    assert power(12, sd, unsure.detectable, 0.05 / 3) == pytest.approx(0.8, abs=1e-3)


def test_needed_repeats_count_repeats_not_pairs():
    data = drawn([40, 43], repeats=8, prompt="p") + drawn([41, 44], repeats=8, seed=2, prompt="q")
    (found,) = comparisons(data, TOKENS, "temperature")
    sd = abs(found.difference.estimate / found.effect)
    assert found.pairs == 16
    assert power(2 * found.repeats_for_this, sd, found.difference.estimate) >= 0.8
    assert power(2 * found.repeats_for_this - 2, sd, found.difference.estimate) < 0.8 or found.repeats_for_this == 3


def test_too_few_pairs_say_so():
    (found,) = comparisons(drawn([40, 90], repeats=5), TOKENS)
    assert found.too_few
    assert not found.significant
    assert found.difference.known is False
    assert found.p == pytest.approx(2 / 32)
    assert found.repeats_for_this == 6


def test_no_pairs_no_test_but_a_line():
    data = [*rows(cell(0, temperature=0.5), {1: None, 2: None}), *rows(cell(1), {1: 5, 2: 6})]
    (found,) = comparisons(data, TOKENS)
    assert (found.pairs, found.left_out, found.p, found.difference, found.significant) == (0, 2, None, None, False)
    dead, _ = summaries(data, TOKENS)
    assert (dead.n, dead.failed, dead.mean, dead.median) == (0, 2, None, None)


def test_a_pair_that_cannot_be_tested_is_not_of_the_family():
    data = [*drawn([40, 60]), *rows(cell(9, temperature=0.9), dict.fromkeys(range(1, 11)))]
    found = comparisons(data, TOKENS)
    assert [each.family for each in found] == [1, 1, 1]


def test_a_share_has_wilsons_interval():
    data = [row(cell(0), seed, 1, "yes") for seed in range(1, 9)]
    (found,) = summaries(data, SAYS_YES)
    assert found.mean == wilson(8, 8)
    assert found.mean.low < 0.7, "eight of eight are not yet all"


def test_a_greedy_level_is_known_exactly_for_these_prompts():
    data = [*rows(cell(0, temperature=0), dict.fromkeys(range(1, 9), 40)), *drawn([50])]
    cold, hot = summaries(data, TOKENS)
    assert (cold.n, cold.mean, cold.median) == (1, Interval(40, 40, 40), Interval(40, 40, 40))
    assert hot.n == 10
    alone = summaries(data[:8], TOKENS)[0]
    assert (alone.over, alone.mean) == (Over.PROMPTS, Interval(40)), "nothing is known of other prompts"


@pytest.mark.parametrize("repeats", [2, 8, 32])
def test_a_level_with_greedy_and_sampled_contexts_has_their_mean_however_often_repeated(repeats):
    data = []
    for n, (system, temperature) in enumerate((s, t) for s in "xy" for t in (0, 1)):
        data += rows(
            cell(n, system=system, temperature=temperature), dict.fromkeys(range(1, repeats + 1), 10 + 10 * temperature)
        )
    told = summaries(data, TOKENS, "system", over=Over.REPEATS)
    assert [(each.mean.estimate, each.median.estimate, each.n) for each in told] == [(15, 15, repeats)] * 2
    assert [each.mean.estimate for each in summaries(data, TOKENS, "temperature")] == [10, 20]


def test_an_interval_beside_greedy_contexts_is_that_of_the_sampled_ones_by_their_weight():
    sampled = drawn([40], repeats=20)
    greedy = rows(cell(5, temperature=0), dict.fromkeys(range(1, 21), 10))
    (alone,), (both,) = summaries(sampled, TOKENS, "prompt"), summaries([*greedy, *sampled], TOKENS, "prompt")
    ends = [(10 + end) / 2 for end in (alone.mean.low, alone.mean.estimate, alone.mean.high)]
    assert [both.mean.low, both.mean.estimate, both.mean.high] == pytest.approx(ends)
    assert both.n == 20


def test_a_share_beside_greedy_contexts_is_not_known_better_than_eight_answers_tell():
    sampled = [row(cell(0), seed, 1, "yes") for seed in range(1, 9)]
    greedy = [row(cell(1, temperature=0), seed, 1, "no") for seed in range(1, 9)]
    (found,) = summaries([*greedy, *sampled], SAYS_YES, "prompt")
    least = wilson(8, 8).low
    assert least is not None
    assert (found.mean.estimate, found.mean.high) == (0.5, 0.5)
    assert found.mean.low == pytest.approx(least / 2)


def test_nothing_differs_and_nothing_is_found_but_for_five_percent():
    """Six settings that do not differ, three prompts that do: a wrong one in at most 5 % of the families."""
    random = np.random.default_rng(9)
    wrong = 0
    for _ in range(40):
        data = []
        for n, (setting, prompt) in enumerate((s, p) for s in range(4) for p in range(3)):
            values = random.poisson(20 * (prompt + 1), 6) + 1
            data += rows(cell(n, variant=f"v{setting}", prompt=f"p{prompt}"), dict(enumerate(values, 1)))
        wrong += any(each.significant for each in comparisons(data, TOKENS))
    assert wrong <= 6, "0.05 * 40 = 2; more than 6 has a probability of 0.3 %"


# ---- diversity

WORDS = [
    "the",
    "a",
    "llama",
    "condor",
    "lake",
    "sky",
    "runs",
    "drinks",
    "sees",
    "high",
    "low",
    "old",
    "grey",
    "and",
    "then",
    "over",
]


def written(random, rate, words=WORDS, length=12):
    """The same sentence each time, with other words in it at a rate."""
    return " ".join(
        str(random.choice(words)) if random.random() < rate else words[n % len(words)] for n in range(length)
    )


def texts(of, rate, *, repeats=8, seed=1, words=WORDS):
    random = np.random.default_rng(seed)
    return [row(of, n, 1, written(random, rate, words)) for n in range(1, repeats + 1)]


def test_the_diversity_of_a_level_is_the_mean_over_its_prompts():
    data = texts(cell(0), 0.5) + texts(cell(1, prompt="q"), 0.2, seed=2)
    (found,) = diversities(data)
    by_hand = [diversity(pairwise_bleu([each.output for each in part])) for part in (data[:8], data[8:])]
    assert found.mean.estimate == pytest.approx(np.mean(by_hand))
    assert 0 < found.mean.low < found.mean.estimate < found.mean.high <= 1
    assert found.n == 16


def test_more_varied_is_found_and_greedy_is_exactly_not():
    data = texts(cell(0, temperature=0), 0) + texts(cell(1, temperature=0.5), 0.1) + texts(cell(2), 0.7, seed=3)
    cold, middle, hot = diversities(data, "temperature")
    assert cold.mean == Interval(0, 0, 0)
    assert middle.mean.high < hot.mean.low
    found = diversity_comparisons(data, "temperature")
    assert [each.pairs for each in found] == [8, 8, 8]
    assert found[2].significant
    assert found[2].difference.estimate == pytest.approx(hot.mean.estimate - middle.mean.estimate)
    assert found[2].difference.low > 0


def test_a_failed_output_is_left_out_of_both_sides():
    data = texts(cell(0, temperature=0.5), 0.2) + texts(cell(1), 0.7)
    data[3] = row(data[3].cell, 4, failed=True)
    (found,) = diversity_comparisons(data)
    assert (found.pairs, found.left_out) == (7, 1)
    assert diversities(data)[0].failed == 1


def test_one_output_alone_has_no_diversity_and_two_have_no_interval():
    (alone,) = diversities(texts(cell(0), 0.5, repeats=1))
    assert (alone.n, alone.undefined, alone.mean) == (0, 1, None)
    (two,) = diversities(texts(cell(0), 0.9, repeats=2))
    assert two.n == 1
    assert not two.mean.known


@pytest.mark.parametrize("repeats", [2, 3, 8, 32])
@pytest.mark.parametrize("over", Over)
def test_greedy_contexts_have_their_weight_in_a_diversity(repeats, over):
    """No two outputs of a sampled context have a word in common: 1; a greedy one has one output: 0."""
    data = []
    for n, (system, temperature) in enumerate((s, t) for s in "xy" for t in (0, 0.5, 1)):
        for seed in range(1, repeats + 1):
            new = temperature == 1 or (temperature == 0.5 and system == "y")
            text = " ".join(f"{word}{seed}" for word in "abcdef") if new else "always the same of all words"
            data.append(row(cell(n, system=system, temperature=temperature), seed, text=text))
    one, other = diversities(data, "system", over=over)
    assert one.mean.estimate == pytest.approx(1 / 3)
    assert other.mean.estimate == pytest.approx(2 / 3)
    assert one.n == (1 if over is Over.PROMPTS or repeats == 2 else repeats)
    (found,) = diversity_comparisons(data, "system", over=over)
    assert found.difference.estimate == pytest.approx(1 / 3)
    assert (found.pairs, found.left_out) == (one.n, 0)


def test_a_diversity_over_contexts_is_of_the_seeds_that_all_have():
    data = texts(cell(0, temperature=0.5), 0.2) + texts(cell(1), 0.7, seed=3)
    data[3] = row(data[3].cell, 4, failed=True)
    (found,) = diversities(data, "prompt")
    kept = [[each.output for each in part if each.seed != 4] for part in (data[:8], data[8:])]
    assert found.mean.estimate == pytest.approx(np.mean([diversity(pairwise_bleu(part)) for part in kept]))
    assert (found.n, found.failed, found.incomplete) == (7, 1, 1)


def test_other_words_are_not_another_diversity():
    """Two system prompts with wholly different words, as varied as each other. To swap outputs between them would find a difference in 30 %."""
    others = [word.upper() for word in WORDS]
    wrong = 0
    for n in range(80):
        data = texts(cell(0, system="plain"), 0.4, seed=n) + texts(
            cell(1, system="loud"), 0.4, seed=1000 + n, words=others
        )
        wrong += diversity_comparisons(data, "system")[0].significant
    assert wrong <= 10, "0.05 * 80 = 4; more than 10 has a probability of 0.2 %"


def test_diversities_of_levels_that_were_asked_different_things_say_so():
    varied = {1: "a b c d", 2: "e f g h", 3: "i j k l"}
    data = [
        row(of, seed, text=text)
        for of in (cell(0, temperature=0.5, top_p=0.5), cell(1, temperature=1, top_p=1))
        for seed, text in varied.items()
    ]
    assert [each.matched for each in diversities(data, "temperature")] == [False, False]
    assert [each.matched for each in diversities(data)] == [True, True]


def test_over_many_prompts_diversity_is_one_number_of_each():
    data = [each for n in range(12) for each in texts(cell(n, prompt=f"p{n}"), 0.5, seed=n, repeats=3)]
    (found,) = diversities(data)
    assert (found.n, found.over) == (12, Over.PROMPTS)
    assert found.median is not None


def test_the_same_rows_have_the_same_statistics_each_time():
    data = drawn([40, 42], repeats=20)
    assert comparisons(data, TOKENS) == comparisons(data, TOKENS)
    assert summaries(data, TOKENS) == summaries(data, TOKENS)
