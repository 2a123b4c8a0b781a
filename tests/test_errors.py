from puna.errors import ContextWindowError, unknown


def test_an_unknown_name_is_refused_with_the_nearest_and_all_known():
    said = unknown("format", "lama2", ["llama2", "chatml"])
    assert said == "unknown format 'lama2'. Did you mean 'llama2'? Known: chatml, llama2"


def test_a_name_like_none_of_them_gets_no_guess():
    assert "Did you mean" not in unknown("format", "zzz", ["llama2", "chatml"])


def test_a_window_that_is_too_small_says_the_counts_and_what_would_fit():
    said = str(ContextWindowError(4000, 200, 4096))
    assert "4000" in said
    assert "4200" in said
    assert "4096" in said
    assert "at most 96 tokens" in said


def test_a_prompt_that_alone_is_too_long_is_not_told_to_ask_for_fewer_tokens():
    assert "at most" not in str(ContextWindowError(5000, 200, 4096))
