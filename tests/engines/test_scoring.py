"""The probability of a given text: that it is the model's own, by every way, and that no token can end the engine."""

import asyncio
import math
import re
import time

import psutil
import pytest

from puna.engines import scoring
from puna.engines.llamacpp import LlamaCpp, LlamaCppSettings
from puna.errors import InputError
from puna.generation import Kind, Segment
from tests.engines.engine import on_engine
from tests.models.tiny_llama import tiny_llama

pytestmark = pytest.mark.model

TURN = "<|im_start|>user\nSay 🙂 in Japanese, 日本.<|im_end|>\n"
CLOSE = 2e-3
"""Batches of other sizes add in another order."""


async def ids_of(engine, text):
    pieces = [piece for piece in re.split(r"(<\|im_start\|>|<\|im_end\|>)", text) if piece]
    return await engine.encode(
        tuple(Segment(Kind.CONTROL if piece.startswith("<|") else Kind.CONTENT, piece) for piece in pieces)
    )


def logprobs(scored):
    return [entry.logprob for entry in scored.tokens[1:]]


async def by_distribution(engine, ids):
    """The oracle: after each beginning the whole distribution, nothing forced but a letter that is one token."""
    found = []
    for at in range(1, len(ids)):
        body = {
            "prompt": list(ids[:at]),
            "n_predict": 1,
            "n_probs": 49152,
            "temperature": 0,
            "logit_bias": [[65, 1000]],
        }
        async with engine.http.post("/completion", json=body) as answer:
            (entry,) = (await answer.json())["completion_probabilities"]
        found.append(next(other["logprob"] for other in entry["top_logprobs"] if other["id"] == ids[at]))
    return found


def test_a_score_is_the_models_own_probability_by_every_way(model_home, monkeypatch):
    async def work(engine):
        ids = await ids_of(engine, TURN)
        scored = await engine.score(ids, 3)
        again = await engine.score(ids, 0)
        oracle = await by_distribution(engine, ids)

        async def none(http, before, slot):
            return frozenset()

        monkeypatch.setattr(scoring, "_endings", none)
        alone = await engine.score(ids, 0)
        return ids, scored, again, oracle, alone

    ids, scored, again, oracle, alone = on_engine(model_home, work)
    assert scored.tokens[0] is None
    assert [entry.id for entry in scored.tokens[1:]] == list(ids[1:])
    assert scored.usage.prompt == len(ids)
    assert (scored.usage.cached, scored.usage.output) == (0, 0)
    assert logprobs(scored) == pytest.approx(oracle, abs=CLOSE)
    assert logprobs(scored) == pytest.approx(logprobs(again), abs=CLOSE)
    assert logprobs(scored) == pytest.approx(logprobs(alone), abs=CLOSE)
    assert all(len(entry.top) == 3 for entry in scored.tokens[1:])
    assert all(entry.top == () for entry in again.tokens[1:])
    assert b"".join(entry.data for entry in scored.tokens[1:]).decode() == TURN.replace("<|im_start|>", "").replace(
        "<|im_end|>", ""
    )


def test_the_end_of_a_prompt_by_itself_is_scored_as_in_the_whole(model_home):
    async def work(engine):
        ids = await ids_of(engine, TURN)
        whole = await engine.score(ids, 2)
        ends = [await engine.score(ids, 2, start) for start in (2, 5, len(ids) - 1, len(ids))]
        for wrong in (0, -1, len(ids) + 1):
            with pytest.raises(InputError, match=f"from 1 to {len(ids)} can be the first one scored, not {wrong}"):
                await engine.score(ids, 2, wrong)
        return ids, whole, ends

    ids, whole, ends = on_engine(model_home, work)
    for scored, start in zip(ends, (2, 5, len(ids) - 1, len(ids)), strict=True):
        assert len(scored.tokens) == len(ids)
        assert scored.tokens[:start] == (None,) * start
        assert [token.id for token in scored.known] == list(ids[start:])
        for one, other in zip(scored.known, whole.tokens[start:], strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=CLOSE)
            assert [token.id for token in one.top] == [token.id for token in other.top]


def test_scoring_after_a_prompt_finds_it_in_the_cache(model_home):
    """By the processor time of the engine's process, which other processes do not change much."""

    async def work(engine):
        prompt, one = tuple(range(100, 220)), tuple(range(900, 902))
        process, seconds = psutil.Process(engine.worker.pid), []
        for ids in (prompt + one, prompt + one[::-1], prompt[::-1] + one):
            before = sum(process.cpu_times()[:2])
            await engine.score(ids, 1, len(prompt))
            seconds.append(sum(process.cpu_times()[:2]) - before)
        return seconds

    first, cached, other = on_engine(model_home, work)
    assert cached < min(first, other) / 2


def test_the_alternatives_are_the_whole_vocabulary_where_that_is_asked_for(model_home):
    async def work(engine):
        ids = await ids_of(engine, "The capital of France is Paris 🙂")
        return await engine.score(ids, 49152, 4), await engine.score(ids, 1000, 4)

    whole, many = on_engine(model_home, work)
    for all_of_them, some in zip(whole.known, many.known, strict=True):
        assert len({token.id for token in all_of_them.top}) == 49152
        assert math.fsum(math.exp(token.logprob) for token in all_of_them.top) == pytest.approx(1, abs=1e-3)  # float32
        assert all_of_them.logprob == next(t.logprob for t in all_of_them.top if t.id == all_of_them.id)
        logprobs = [token.logprob for token in some.top]
        assert len(logprobs) == 1000
        assert logprobs == sorted(logprobs, reverse=True)


def test_what_a_model_says_greedily_is_its_likeliest(model_home):
    async def work(engine):
        ids = await ids_of(engine, "The capital of France is Paris")
        return await engine.score(ids, 1), await engine.score(await ids_of(engine, "The capital of France is Oslo"), 1)

    likely, unlikely = on_engine(model_home, work)
    paris = likely.tokens[-1]
    assert paris.id == paris.top[0].id
    assert unlikely.tokens[-1].logprob < paris.logprob - 3


def test_no_ids_one_id_and_ids_of_no_vocabulary(model_home):
    async def work(engine):
        assert (await engine.score((5,), 1)).tokens == (None,)
        with pytest.raises(InputError, match="at least one token"):
            await engine.score((), 1)
        for wrong in (49152, -1, 10**30):
            for ids in ((wrong,), (5, wrong), (wrong, 5), (5, 6, wrong, 7)):
                with pytest.raises(InputError, match=f"from 0 to 49151 for this model, not {wrong};"):
                    await engine.score(ids, 1)

    on_engine(model_home, work)


def test_a_score_that_is_left_frees_its_slot(model_home):
    async def work(engine):
        running = asyncio.ensure_future(engine.score(tuple(range(100, 1900)), 0))
        while not await busy(engine):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # into the long stretch; it takes many seconds, and nothing hangs on when it is left
        running.cancel()
        await asyncio.wait({running})
        began = time.monotonic()
        while await busy(engine):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.01)

    on_engine(model_home, work)


async def busy(engine):
    async with engine.http.get("/slots") as answer:
        return any(slot["is_processing"] for slot in await answer.json())


NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

ODD = (
    {"<unk>": UNKNOWN, "<s>": CONTROL, "</s>": CONTROL}
    | {f"<0x{n:02X}>": BYTE for n in range(256)}
    | {"▁": NORMAL, "a": NORMAL, "▁a": NORMAL, "日": NORMAL, "\n": NORMAL, "": NORMAL, "\ufffd": NORMAL, "x\0": NORMAL}
    # What llama.cpp takes for an end by its text, whatever its type.
    | {"<|im_end|>": NORMAL, "<|eot_id|>": USER_DEFINED, "<end_of_turn>": CONTROL, "<|endoftext|>": NORMAL}
    | {"<EOT>": USER_DEFINED, "<|im_start|>": CONTROL, "<think>": USER_DEFINED, "▁▁": USER_DEFINED, "[PAD]": UNUSED}
)


@pytest.mark.parametrize("ends", [True, False])
def test_no_token_of_the_oddest_vocabulary_ends_the_engine(tmp_path, ends):
    """A model of zeros holds all tokens equally likely: each id of its vocabulary, in one prompt."""
    path = tmp_path / "odd.gguf"
    metadata = {
        "llama.context_length": 512,
        "tokenizer.ggml.tokens": list(ODD),
        "tokenizer.ggml.token_type": tuple(ODD.values()),
        "tokenizer.ggml.scores": [-float(n) for n in range(len(ODD))],
        "tokenizer.ggml.eos_token_id": 2 if ends else 2**32 - 1,
    }
    path.write_bytes(tiny_llama(metadata))
    engine = LlamaCpp(LlamaCppSettings(path, "odd", 512, 1, 1, 1, tmp_path / "log", control={}))

    async def scenario():
        await engine.start()
        try:
            scored = await engine.score(tuple(range(len(ODD))), 0)
            assert engine.ready
            return scored
        finally:
            await engine.close()

    scored = asyncio.run(scenario())
    assert logprobs(scored) == pytest.approx([-math.log(len(ODD))] * (len(ODD) - 1), abs=1e-4)
    assert [entry.data for entry in scored.tokens[3:259]] == [bytes([n]) for n in range(256)]
