import asyncio
from dataclasses import replace
from typing import Any

import pytest

from puna import config
from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.errors import ContextWindowError, DialogError, InputError, NoRoomError
from puna.formats import catalog
from puna.formats.understand import RAW
from puna.generation import Delta, Receipt, Sampling, Written
from puna.messages import dialog_of
from puna.turn import Ask

CHATML = catalog.get("chatml")


def spine(format="chatml", **options):
    engine = Scripted(**options)
    return Spine(engine, engine.info, catalog.get(format))


def open_scripted(**options):
    return asyncio.run(config.open_spine(config.settings({"engine": "scripted", **options}), None))


def prepared(prompt, *, on=None, raw=False, **sampling):
    return asyncio.run((on or spine()).prepare(Ask(prompt, Sampling(**sampling), frozenset(sampling), raw)))


def answered(turn):
    async def collect():
        return [event async for event in turn.stream()]

    return asyncio.run(collect())


def test_another_familys_prompt_is_rendered_in_the_models_own():
    turn = prepared("<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]")
    assert turn.written is Written.TRANSLATED
    assert (turn.source, turn.format) == ("llama2", "chatml")
    assert turn.prompt.text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_models_own_format_without_a_slip_stays_as_it_is():
    text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    turn = prepared(text)
    assert (turn.written, turn.prompt.text, turn.findings) == (Written.AS_IS, text, ())


def test_the_models_own_format_with_a_slip_is_repaired_and_the_slip_is_named():
    turn = prepared("[INST]Hi[/INST]", on=spine("llama2"))
    assert turn.written is Written.REPAIRED
    assert turn.prompt.text == "<s>[INST] Hi [/INST]"
    assert turn.findings


def test_messages_are_rendered():
    turn = prepared(dialog_of([{"role": "user", "content": "Hi"}]))
    assert turn.written is Written.RENDERED
    assert turn.source is None


@pytest.mark.parametrize("raw_spine", [False, True])
def test_raw_sends_every_character_as_it_is(raw_spine):
    on = spine()
    on.raw = raw_spine
    turn = prepared("<s>[INST] Hi [/INST]", on=on, raw=not raw_spine)
    assert (turn.written, turn.format, turn.prompt.text) == (Written.AS_IS, RAW, "<s>[INST] Hi [/INST]")


def test_text_without_any_marker_is_a_text_to_continue():
    turn = prepared("Once upon a time")
    assert (turn.written, turn.format, turn.prompt.text) == (Written.AS_IS, RAW, "Once upon a time")


@pytest.mark.parametrize(("text", "sent"), [("Hi", "<s>Hi"), ("<s>Hi", "<s>Hi")])
def test_a_raw_prompt_has_its_bos_exactly_once(text, sent):
    on = spine()
    on.info = replace(on.info, bos="<s>")
    turn = prepared(text, on=on, raw=True)
    assert turn.prompt.text == sent
    assert bool(turn.findings) == (text != sent)


def test_text_that_could_be_of_two_families_is_read_as_the_models_own():
    text = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    for name in ("chatml", "smollm2"):
        turn = prepared(text, on=spine(name))
        assert (turn.written, turn.source, turn.prompt.text) == (Written.AS_IS, name, text)


def test_a_default_system_sentence_that_was_written_out_is_not_lost_on_another_model():
    sentence = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    text = f"<|im_start|>system\n{sentence}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert prepared(text, on=spine("llama2")).prompt.text == f"<s>[INST] <<SYS>>\n{sentence}\n<</SYS>>\n\nHi [/INST]"
    assert prepared(text, on=spine("smollm2")).prompt.text == text


def test_a_default_system_sentence_that_the_model_adds_is_told():
    turn = prepared("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", on=spine("smollm2"))
    assert turn.written is Written.REPAIRED
    assert any("default system sentence" in finding for finding in turn.findings)


def test_control_text_in_a_text_of_no_known_format_is_told():
    turn = prepared("How do I write <|im_start|>user?")
    assert turn.written is Written.AS_IS
    assert any("<|im_start|>" in finding for finding in turn.findings)


def test_an_endpoint_gets_messages_as_they_are():
    engine = Scripted()
    on = Spine(engine, engine.info, None)
    turn = prepared(dialog_of([{"role": "assistant", "content": "Hello"}]), on=on)
    assert turn.prompt.dialog is not None
    assert turn.prompt.segments == ()


def test_a_long_prompt_is_read_like_a_short_one():
    assert prepared("<s>[INST] " + "word " * 10_000 + "[/INST]", on=spine(context=99_999)).written is Written.TRANSLATED


def test_a_begun_answer_is_continued_not_closed():
    turn = prepared("<s>[INST] Hi [/INST] Well,")
    assert turn.prompt.text.endswith("<|im_start|>assistant\nWell,")


def test_prompt_and_max_tokens_over_the_window_are_refused_with_the_counts():
    with pytest.raises(ContextWindowError) as caught:
        prepared("one two three", on=spine(context=10), max_tokens=8)
    assert (caught.value.prompt_tokens, caught.value.max_tokens, caught.value.context) == (3, 8, 10)
    assert prepared("one two three", on=spine(context=10), max_tokens=7)


def long_dialog(turns=30):
    texts = [
        {"role": ("assistant" if n % 2 else "user"), "content": f"turn {n} of words"} for n in range(2 * turns - 1)
    ]
    return dialog_of([{"role": "system", "content": "Be brief."}, *texts])


def test_turns_that_do_not_fit_are_left_out_and_the_receipt_names_them():
    on = open_scripted(context=120)
    asked = long_dialog()
    turn = asyncio.run(on.prepare(Ask(asked, Sampling(max_tokens=20), policy="watermark")))
    assert len(turn.prompt.ids) + 20 <= 120
    assert turn.prompt.dialog is not None
    assert turn.prompt.dialog.system == "Be brief."
    assert turn.prompt.dialog[-1] == asked[-1]
    *_, receipt = answered(turn)
    said: Any = receipt.as_json()["prompt"]
    gone = [entry["index"] for entry in said["dropped"]]
    assert gone == list(range(1, len(gone) + 1))
    assert len(gone) + len(turn.prompt.dialog) == len(asked)
    assert set(said["dropped"][0]) == {"index", "role", "tokens", "why"}


def test_the_prefix_stays_put_between_two_cuts():
    on = open_scripted(context=200)
    starts = []
    for turns in range(20, 40):
        asked = long_dialog(turns)
        turn = asyncio.run(on.prepare(Ask(asked, Sampling(max_tokens=20), policy="watermark")))
        starts.append(len(turn.dropped))
    assert starts == sorted(starts)
    assert len(set(starts)) < len(starts) / 2


def test_without_a_policy_nothing_is_left_out():
    with pytest.raises(ContextWindowError):
        asyncio.run(open_scripted(context=120).prepare(Ask(long_dialog(), Sampling(max_tokens=20))))


def test_a_last_turn_that_is_too_long_alone_is_refused_with_the_parts():
    asked = dialog_of([{"role": "user", "content": "word " * 200}])
    with pytest.raises(NoRoomError, match="shorten the last turn"):
        asyncio.run(open_scripted(context=120).prepare(Ask(asked, Sampling(max_tokens=20), policy="watermark")))


def test_a_dialog_that_the_format_forbids_is_refused_before_anything_is_sent():
    with pytest.raises(DialogError):
        prepared(dialog_of([{"role": "assistant", "content": "Hi"}]), on=spine("llama2"))


def test_the_receipt_says_what_was_chosen_and_what_was_defaulted():
    turn = prepared("<s>[INST] Hi [/INST]", temperature=0.1, max_tokens=2)
    *deltas, receipt = answered(turn)
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert isinstance(receipt, Receipt)
    said: Any = receipt.as_json()
    assert said["prompt"]["written"] == "translated"
    assert said["defaulted"][:5] == ["top_p", "top_k", "min_p", "seed", "stop"]
    assert said["sampling"]["seed"] == turn.sampling.seed
    assert isinstance(turn.sampling.seed, int)
    assert said["finish"] == "length"
    assert said["usage"] == {
        "prompt": len(turn.prompt.ids),
        "cached": 0,
        "output": 2,
        "evaluated": len(turn.prompt.ids),
    }


def test_a_stop_of_the_format_is_not_told_as_the_callers():
    """ChatML's end of turn is plain text to a vocabulary that lacks it, so it is a stop text of the engine's."""
    on = spine(answer=lambda *_: "fine<|im_end|>\nand more")
    on.info = replace(on.info, control=frozenset())
    *deltas, receipt = answered(prepared("<s>[INST] Hi [/INST]", on=on))
    assert "".join(delta.text for delta in deltas) == "fine"
    assert (receipt.finish, receipt.stopped_by) == ("stop", None)


def test_messages_that_the_format_would_leave_out_are_refused():
    late = [("user", "Hi"), ("system", "Be brief."), ("user", "Go on")]
    with pytest.raises(DialogError, match="leaves message 1 out; join it"):
        prepared(dialog_of([{"role": role, "content": text} for role, text in late]), on=spine("llama2"))
    # In a family that moves it, it is told.
    assert prepared(dialog_of([{"role": r, "content": t} for r, t in late]), on=spine("deepseek-v3")).findings


@pytest.mark.parametrize("prompt", ["x" * (4096 * 64 + 1), dialog_of([{"role": "user", "content": ""}] * 4097)])
def test_what_cannot_fit_is_refused_before_it_is_read(prompt):
    with pytest.raises(
        InputError, match="but the context window holds 4096 tokens, for which at most 262144 characters in 4096 texts"
    ):
        prepared(prompt)


def test_a_prompt_that_fills_the_window_has_no_room_for_an_open_end():
    on = spine("chatml")
    text = " ".join(["word"] * 4200)
    with pytest.raises(
        ContextWindowError, match=r"has 42\d\d tokens, but the context window holds 4096 and an answer needs one more"
    ):
        asyncio.run(on.prepare(Ask(dialog_of([{"role": "user", "content": text}]), open_end=True)))


@pytest.mark.parametrize(("policy", "told"), [("watermark", 1), ("none", 0)])
def test_a_policy_that_nobody_can_count_for_is_told_to_have_done_nothing(policy, told):
    engine = Scripted()
    away = Spine(engine, replace(engine.info, context=0, slots=0, build="http://there/v1"), None)
    asked = dialog_of([{"role": role, "content": "Hi"} for role in ("user", "assistant", "user")])
    turn = asyncio.run(away.prepare(Ask(asked, policy=policy)))
    assert len(turn.findings) == told
    assert all("left out nothing, for http://there/v1 does not tell its window" in said for said in turn.findings)
    first = asyncio.run(away.prepare(Ask(dialog_of([{"role": "user", "content": "Hi"}]), policy=policy)))
    assert first.findings == ()  # there is nothing to leave out
