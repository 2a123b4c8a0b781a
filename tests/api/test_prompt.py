"""The prompt and the budget that a conversation tells are those of the turn that follows."""

import asyncio

import pytest

import puna
from puna.dialog.budget import Budget
from puna.errors import ContextWindowError, InputError

from .talks import contents, receipt_of


def test_the_prompt_told_is_the_prompt_sent():
    with puna.Chat(engine="scripted", system="Be kind.") as chat:
        for text in ("one", "two", "<|im_end|>"):
            told = chat.prompt_for(text)
            chat.send(text)
            assert receipt_of(chat).prompt == told
            assert told.text.endswith("<|im_start|>assistant\n")
            assert len(told.ids) == receipt_of(chat).usage.prompt


def test_the_prompt_of_a_question_that_waits_is_its_own():
    with puna.Chat(engine="scripted", history=[{"role": "user", "content": "Anybody?"}]) as chat:
        told = chat.prompt
        assert told.text == "<|im_start|>user\nAnybody?<|im_end|>\n<|im_start|>assistant\n"
        chat.stream().wait()
        assert receipt_of(chat).prompt == told
        empty = chat.prompt  # no question waits: an empty one stands for it
        assert empty.text == chat.prompt_for("").text
        assert contents(chat) == ["Anybody?", "You said: Anybody?"]


def test_the_prompt_told_leaves_out_what_the_policy_leaves_out():
    with puna.Chat(engine="scripted", context=64, sampling={"max_tokens": 8}) as chat:
        for n in range(12):
            told = chat.prompt_for(f"word {n} and more")
            chat.send(f"word {n} and more")
            assert receipt_of(chat).prompt == told
        assert receipt_of(chat).dropped
        with pytest.raises(ContextWindowError):
            chat.prompt_for("word " * 100)


def test_the_budget_adds_up_to_the_window():
    with puna.Chat(engine="scripted", context=100, system="Be kind.", sampling={"max_tokens": 10}) as chat:
        chat.send("one two three")
        budget = chat.budget
        assert isinstance(budget, Budget)
        assert (budget.context, budget.reserve) == (100, 10)
        assert budget.prompt == len(chat.prompt.ids)
        assert budget.prompt + budget.free + budget.reserve == 100
        assert budget.history > 0
        chat.send("word " * 70)
        assert chat.budget.over  # nothing is dropped in it


def test_the_async_ones_are_the_same():
    async def scenario():
        async with puna.AsyncChat(engine="scripted") as chat:
            assert (await chat.prompt_for("a")).text == puna.render([{"role": "user", "content": "a"}], "chatml").text
            assert (await chat.prompt()).ids == (await chat.prompt_for("")).ids
            assert (await chat.budget()).context == (await chat.info()).context
            with pytest.raises(InputError, match="text must be text"):
                await chat.prompt_for(None)  # type: ignore[arg-type]

    asyncio.run(scenario())


@pytest.mark.model
def test_the_embedded_model_gets_the_prompt_told_and_answers_each_version_alike(model_home, tmp_path):
    with puna.Chat(context=512, slots=1, sampling={"temperature": 0, "max_tokens": 12}) as chat:
        told = chat.prompt_for("What is a llama?")
        assert told.ids
        assert chat.budget.context == chat.info.context == 512
        stream = chat.stream("What is a llama?", logprobs=2)
        answer = str(stream)
        assert receipt_of(chat).prompt == told
        assert list(stream) == list(stream)
        assert all(token.top for delta in stream.tokens for token in delta.logprobs)
        assert chat.regenerate().text == answer  # greedy
        assert chat.edit(0, "What is an alpaca?").text != answer
        assert chat.versions(0) == ("What is a llama?", "What is an alpaca?")
        fork = chat.fork()
        chat.choose(0, 0)
        assert contents(chat)[0] == "What is a llama?"
        chat.save(tmp_path / "talk.json")
        assert fork.send("And where?").text
        fork.close()
        for piece in chat.stream("Tell me a long story", max_tokens=300):
            if piece:
                break
        assert chat.receipt is None
        assert chat.send("And you?").text  # the slot is free again
    assert puna.Chat.load(tmp_path / "talk.json", engine="scripted").history[1].content == answer
