"""What does a full window cost? Policies that drop old turns, by the tokens that the engine evaluates again.

Method: one chat, the same in every policy: a system message, questions of seeded random sentences (about 40 tokens each,
template included) and scripted replies of 24 tokens, in a window of 1024 of which 24 are reserved. At each turn a policy gets
the whole chat and says what is sent. ``oldest`` is the naive sliding window. LangChain, LlamaIndex and LiteLLM run their own
code, called anew with the whole history as their pages show, and count with puna's exact counts: LangChain by its
``token_counter``; LlamaIndex by its ``tokenizer_fn``, which sees joined texts only, so messages bear their numbers in place of
their texts; LiteLLM's ``trim_messages`` takes no counter, so ``litellm.utils.token_counter`` is replaced.

engine: the first ENGINE_TURNS turns, on llama.cpp as ``puna serve`` starts it. Policies take turns within each turn of the
chat, in an order that rotates, each on a slot of its own, which holds what that policy sent last. The engine really generates
each reply: a grammar of token literals leads it along the scripted one, so that its cache holds what the next prompt says
(free replies would make the chats differ; a reply that is not what was generated, or that is encoded otherwise, costs its
tokens again). Evaluated tokens are the engine's own figures; the time to first token is taken from the request to its first
event, over the turns from the first at which the naive window is full.
accounting: all TURNS turns without an engine: a prompt less what it has in common with the prompt and reply before it (the
last token of a reply is never in the cache, the last of a prompt always evaluated); for ``cache_reuse``, llama.cpp's own rule of
moving chunks. Both figures of the same turns stand side by side.
turns in view: messages that were sent, but for the system message, halved; means. cuts: turns whose prompt does not go on from
the prompt and reply before it.
answers: what ``--cache-reuse`` does to them. At STATES cuts of each policy's chat: the greedy reply of a fresh prefill, and the
log-probability of that reply (token literals, one request) on a fresh prefill, on an ordinary hit of the prompt cache, and on
the cache that the chat with ``cache_reuse`` has by then; and whether each goes on with the same greedy reply.

Run: python benchmarks/pruning.py [--turns N] [--engine-turns N] [--states N] [--policies NAME ...]. By default about a quarter of
an hour on 2 cores; ``--engine-turns 200`` is everything on the engine, 700,000 tokens to evaluate. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from puna import config
from puna.dialog.prune import fit
from puna.engines.completion import request
from puna.engines.llamacpp import LlamaCpp
from puna.formats.base import Writer
from puna.formats.counting import PromptCounter
from puna.generation import Prompt, Sampling
from puna.messages import Dialog, Message, Role
from puna.models.vocabulary import tokenizer_of
from puna.tokens.base import Tokenizer, encode
from puna.tokens.cache import Cached

WINDOW, REPLY, REUSE, SEED = 1024, 24, 32, 20_261_125
LIMIT = WINDOW - REPLY
NAIVE = "oldest"
SYSTEM = (
    "You are a patient guide in the high Andes. Answer in short, plain sentences, and say so when you are not sure."
)
PARTS = (
    ("Tell me", "Please explain", "I would like to know", "Remind me", "Can you say", "My sister asks"),
    ("how", "why", "when", "whether"),
    ("the old", "a young", "the white", "our brown", "one tired", "the shy"),
    ("llama", "herder", "alpaca", "shepherd", "traveller", "condor", "fox", "mule"),
    ("crosses", "avoids", "remembers", "watches over", "returns to", "looks for", "leaves"),
    ("the frozen river", "a stone house", "the market town", "the salt lake", "a narrow bridge", "the summer grass"),
    ("before the rain", "at night", "in early spring", "without any food", "after the harvest", "on foot"),
)
MISSING = "{} cannot be imported, so its policy is left out; install it with: pip install --group bench"

Ids = tuple[int, ...]
Policy = Callable[[Dialog], Dialog]
"""The whole chat, which ends with a question -> what is sent."""


@dataclass(frozen=True)
class Chat:
    """The chat that every policy gets, and how its prompts are counted. replies: ids, shape (turns, REPLY)."""

    counter: PromptCounter
    messages: tuple[Message, ...]
    replies: tuple[Ids, ...]

    def at(self, turn: int) -> Dialog:
        """The whole chat up to the question of this turn, from 0."""
        return Dialog(self.messages[: 2 * turn + 2])

    def ids(self, dialog: Dialog) -> Ids:
        """The prompt as the engine gets it."""
        return encode(self.counter.tokenizer, self.counter.form.render(dialog))


@dataclass(frozen=True)
class Row:
    """What a policy sent. kept: messages of each prompt, but for the system message."""

    name: str
    prompts: tuple[Ids, ...]
    kept: tuple[int, ...]
    reuse: int = 0


def chat_of(form: Writer, tokenizer: Tokenizer, turns: int) -> Chat:
    """Seeded questions of 1 to 5 sentences, and replies of exactly REPLY tokens."""
    draw = random.Random(SEED)  # not for secrets
    messages, replies = [Message(Role.SYSTEM, SYSTEM)], []

    def said(sentences: int) -> str:
        return " ".join(" ".join(draw.choice(part) for part in PARTS) + "." for _ in range(sentences))

    for _ in range(turns):
        messages.append(Message(Role.USER, said(draw.choice((1, 1, 2, 3, 4)))))
        ids = tokenizer.encode(said(3))[:REPLY]
        text = b"".join(tokenizer.bytes_of(token) for token in ids).decode()
        assert tokenizer.encode(text) == ids
        messages.append(Message(Role.ASSISTANT, text))
        replies.append(tuple(ids))
    return Chat(PromptCounter(form, tokenizer), tuple(messages), tuple(replies))


# ---- policies


def ours(chat: Chat, policy: str) -> Policy:
    """A policy of ``puna.dialog.prune``."""
    return lambda dialog: fit(dialog, chat.counter, context=WINDOW, reserve=REPLY, policy=policy).dialog


def langchain(chat: Chat) -> Policy:
    """``trim_messages`` with the arguments of its page."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, trim_messages

    kinds = {Role.SYSTEM: SystemMessage, Role.USER: HumanMessage, Role.ASSISTANT: AIMessage}

    def policy(dialog: Dialog) -> Dialog:
        costs = chat.counter.costs(dialog)
        kept = trim_messages(
            [kinds[m.role](m.content, id=str(n)) for n, m in enumerate(dialog)],
            max_tokens=LIMIT - _template(chat, dialog), token_counter=lambda some: sum(costs[int(m.id)] for m in some),
            strategy="last", start_on="human", include_system=True, allow_partial=False,
        )  # fmt: skip
        return Dialog(tuple(dialog[int(m.id)] for m in kept))

    return policy


def llamaindex(chat: Chat) -> Policy:
    """``ChatMemoryBuffer``; as its chat engines do, the system message is counted beforehand and put in front."""
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import ChatMemoryBuffer

    def policy(dialog: Dialog) -> Dialog:
        costs = chat.counter.costs(dialog)
        buffer = ChatMemoryBuffer.from_defaults(
            chat_history=[ChatMessage(role=str(m.role), content=str(n)) for n, m in enumerate(dialog) if n],
            token_limit=LIMIT, tokenizer_fn=lambda text: [0] * sum(costs[int(n)] for n in text.split()),
        )  # fmt: skip
        kept = buffer.get(initial_token_count=costs[0] + _template(chat, dialog))
        return Dialog((dialog[0], *(dialog[int(m.content)] for m in kept)))

    return policy


def litellm(chat: Chat) -> Policy:
    """``trim_messages``, which may also shorten a message in its middle."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches a price list when it is imported
    import litellm.utils as library

    def count(model: str, messages: list[dict[str, str]]) -> int:
        del model
        given = Dialog(tuple(Message(Role(m["role"]), m["content"]) for m in messages))
        return sum(chat.counter.costs(given)) if messages else 0

    library.token_counter = count

    def policy(dialog: Dialog) -> Dialog:
        whole = [{"role": str(m.role), "content": m.content} for m in dialog]
        kept = library.trim_messages(whole, model="smollm2", max_tokens=LIMIT - _template(chat, dialog))
        return Dialog(tuple(Message(Role(m["role"]), m["content"]) for m in kept))

    return policy


def _template(chat: Chat, dialog: Dialog) -> int:
    """Tokens of a prompt beyond those of its messages: the same for every dialog in this format."""
    first = Dialog(dialog.messages[:2])
    return chat.counter.prompt(first) - sum(chat.counter.costs(first))


LIBRARIES = {"langchain": langchain, "llamaindex": llamaindex, "litellm": litellm}
NAMES = (NAIVE, "watermark", *LIBRARIES, f"{NAIVE} + cache_reuse", "watermark + cache_reuse")


def rows_of(chat: Chat, names: Sequence[str], turns: int) -> list[Row]:
    """What each policy sends at each turn; policies whose library is missing are told and left out."""
    rows = []
    for name in names:
        base, _, reuse = name.partition(" + ")
        try:
            policy = LIBRARIES[base](chat) if base in LIBRARIES else ours(chat, base)
        except ImportError as error:
            print(MISSING.format(error.name), file=sys.stderr)
            continue
        sent = [policy(chat.at(turn)) for turn in range(turns)]
        prompts = tuple(chat.ids(dialog) for dialog in sent)
        assert max(map(len, prompts)) <= LIMIT, name
        rows.append(Row(name, prompts, tuple(len(dialog) - 1 for dialog in sent), REUSE if reuse else 0))
    return rows


# ---- accounting


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def cached(held: Ids, prompt: Ids, reuse: int) -> int:
    """Tokens of a prompt that come from a cache that holds these ids. reuse: least tokens of a moved chunk, 0 for none.

    Moving is llama.cpp's (tools/server, update_slots): what the cache has after the common beginning is searched once, from
    left to right, for chunks that go on where the prompt has got to.
    """
    at = to = common(held, prompt)
    while reuse and at < len(held) and to < len(prompt):
        match = common(held[at : at + len(prompt) - to], prompt[to:])
        if match >= reuse:
            at, to = at + match, to + match
        else:
            at += 1
    return min(to, len(prompt) - 1)


def accounted(row: Row, chat: Chat) -> list[int]:
    """Evaluated tokens of each turn, by what the cache must hold."""
    held: Ids = ()
    found = []
    for prompt, reply in zip(row.prompts, chat.replies, strict=False):
        found.append(len(prompt) - cached(held, prompt, row.reuse))
        held = (*prompt, *reply[:-1])
    return found


def cuts(row: Row, chat: Chat) -> list[int]:
    """The turns whose prompt does not go on from the one before."""
    pairs = zip(pairwise(row.prompts), chat.replies, strict=False)
    return [n + 1 for n, ((old, new), reply) in enumerate(pairs) if common((*old, *reply), new) < len(old) + REPLY]


def whole_chat(rows: Sequence[Row], chat: Chat) -> dict[str, dict[str, float]]:
    """Figures of all turns, by accounting."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        prompt, evaluated = sum(map(len, row.prompts)), sum(accounted(row, chat))
        found[row.name] = {
            "prompt_tokens": prompt, "evaluated_tokens": evaluated, "cached_share": round(1 - evaluated / prompt, 3),
            "cuts": len(cuts(row, chat)), "turns_in_view": round(statistics.mean(row.kept) / 2, 2),
        }  # fmt: skip
    if NAIVE in found:
        for figures in found.values():
            figures["naive_over_this"] = round(found[NAIVE]["evaluated_tokens"] / figures["evaluated_tokens"], 2)
            figures["view_of_naive"] = round(figures["turns_in_view"] / found[NAIVE]["turns_in_view"], 3)
    return found


# ---- engine


async def reply(
    engine: LlamaCpp, ids: Ids, slot: int, *, follow: Ids = (), **extra: Any
) -> tuple[dict[str, Any], float]:
    """One greedy reply on one slot, led along ``follow`` where given: the engine's last record, seconds to its first."""
    body = {**request(Prompt((), ids), Sampling(temperature=0, max_tokens=REPLY, seed=0)), "id_slot": slot, **extra}
    if follow:
        body |= {"grammar": "root ::= " + " ".join(f"<[{token}]>" for token in follow), "n_predict": len(follow)}
    began, first, tokens, said = time.perf_counter(), 0.0, list[int](), dict[str, Any]()
    probabilities: list[float] = []
    async with engine.http.post("/completion", json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if not line.startswith(b"data: "):
                continue
            said = json.loads(line[6:])
            if "prompt_progress" in said:
                continue
            first = first or time.perf_counter() - began
            tokens += said["tokens"]
            probabilities += [entry["logprob"] for entry in said.get("completion_probabilities", ())]
    assert not follow or tuple(tokens) == follow, (follow, tokens)
    return {**said, "tokens": tuple(tokens), "logprobs": probabilities}, first


async def on_the_engine(engine: LlamaCpp, rows: Sequence[Row], chat: Chat, turns: int) -> dict[str, dict[str, Any]]:
    """The first turns of every policy, side by side."""
    evaluated: dict[str, list[int]] = {row.name: [] for row in rows}
    firsts: dict[str, list[float]] = {row.name: [] for row in rows}
    for turn in range(turns):
        for n in range(len(rows)):
            slot = (n + turn) % len(rows)
            row = rows[slot]
            extra: dict[str, Any] = {"n_cache_reuse": row.reuse} if row.reuse else {}
            said, first = await reply(engine, row.prompts[turn], slot, follow=chat.replies[turn], **extra)
            assert said["tokens_evaluated"] == len(row.prompts[turn])
            evaluated[row.name].append(len(row.prompts[turn]) - said["timings"]["cache_n"])
            firsts[row.name].append(first)
        if turn % 10 == 9:
            print(f"turn {turn + 1} of {turns}", file=sys.stderr, flush=True)
    naive = next((row for row in rows if row.name == NAIVE), rows[0])
    full = min([*cuts(naive, chat), turns - 1])
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        late = sorted(firsts[row.name][full:])
        account = accounted(row, chat)[:turns]
        by_engine, by_account = sum(evaluated[row.name]), sum(account)
        agree = sum(a == b for a, b in zip(evaluated[row.name], account, strict=True))
        found[row.name] = {
            "prompt_tokens": sum(map(len, row.prompts[:turns])), "evaluated_tokens": by_engine,
            "accounted_tokens": by_account, "engine_over_accounting": round(by_engine / by_account, 4),
            "turns_that_agree": agree, "turns_when_full": len(late),
            "evaluated_when_full": sum(evaluated[row.name][full:]),
            "first_token_s": {"mean": round(statistics.mean(late), 3), "median": round(statistics.median(late), 3),
                              "p99": round(late[min(len(late) - 1, len(late) * 99 // 100)], 3)},
        }  # fmt: skip
    return found


# ---- answers


async def answers(engine: LlamaCpp, row: Row, chat: Chat, states: int) -> dict[str, Any]:
    """What a moved cache does to the answers of one policy's chat. Slot 0 has the chat; slot 1 starts afresh each time."""
    at = cuts(row, chat)
    chosen = set(at[:: max(1, len(at) // states)][:states])
    changes: dict[str, list[float]] = {"hit": [], "moved": []}
    same = {"hit": 0, "moved": 0}
    ends = {chat.counter.tokenizer.control[stop] for stop in chat.counter.form.stops}
    tokens = 0
    for turn, prompt in enumerate(row.prompts[: max(chosen, default=-1) + 1]):
        if turn in chosen:
            greedy = (await reply(engine, prompt, 1, cache_prompt=False))[0]["tokens"]
            told = tuple(token for token in greedy if token not in ends)  # llama.cpp aborts on a literal of these
            fresh = (await reply(engine, prompt, 1, follow=told, cache_prompt=False, n_probs=1))[0]
            assert fresh["timings"]["cache_n"] == 0
            tokens += len(told)
            ways: list[tuple[str, int, dict[str, Any]]] = [("hit", 1, {}), ("moved", 0, {"n_cache_reuse": REUSE})]
            for way, slot, extra in ways:
                scored = (await reply(engine, prompt, slot, follow=told, n_probs=1, **extra))[0]
                assert scored["timings"]["cache_n"] > 0
                changes[way] += [a - b for a, b in zip(scored["logprobs"], fresh["logprobs"], strict=True)]
                same[way] += (await reply(engine, prompt, slot, **extra))[0]["tokens"] == greedy
            print(f"{row.name}: answers at turn {turn + 1}", file=sys.stderr, flush=True)
        await reply(engine, prompt, 0, n_predict=1, n_cache_reuse=REUSE)
    return {
        "states": len(chosen),
        "tokens": tokens,
        **{
            way: {
                "mean_nats": round(statistics.mean(values), 4),
                "mean_absolute_nats": round(statistics.mean(map(abs, values)), 4),
                "same_greedy_reply": same[way],
            }
            for way, values in changes.items()
            if values
        },
    }


# ---- the run


async def measure(names: Sequence[str], turns: int, engine_turns: int, states: int) -> dict[str, Any]:
    """Everything, in one engine."""
    wanted = config.settings({"slots": max(2, len(names)), "context": WINDOW})
    model = await asyncio.to_thread(config.find_model, wanted)
    assert model is not None
    spine = await config.open_spine(wanted, model)
    assert isinstance(spine.engine, LlamaCpp)
    assert spine.format is not None
    try:
        chat = chat_of(spine.format, Cached(tokenizer_of(model.path)), turns)
        rows = rows_of(chat, names, turns)
        last = chat.at(min(turns, 20) - 1)
        assert chat.ids(last) == await spine.engine.encode(spine.format.render(last)), "the tokenizers differ"
        found: dict[str, Any] = {"accounting": whole_chat(rows, chat)}
        show(f"{turns} turns, by accounting", found["accounting"])
        found["engine"] = await on_the_engine(spine.engine, rows, chat, engine_turns)
        show(f"{engine_turns} turns, on the engine", found["engine"])
        found["answers"] = {
            row.name: await answers(spine.engine, row, chat, states) for row in rows if row.reuse and states
        }
        show("answers, against a fresh prefill", found["answers"])
    finally:
        await spine.engine.close()
    return found


def show(title: str, found: dict[str, dict[str, Any]]) -> None:
    """Figures by policy."""
    print(title)
    for name, figures in found.items():
        print(f"  {name:<24} {figures}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--engine-turns", type=int, default=36)
    parser.add_argument("--states", type=int, default=8)
    parser.add_argument("--policies", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    args = parser.parse_args()
    engine_turns = min(args.engine_turns, args.turns)
    found = asyncio.run(measure(args.policies, args.turns, engine_turns, args.states))
    print(
        json.dumps(
            {"benchmark": "pruning", "turns": args.turns, "engine_turns": engine_turns, "window": WINDOW, "reply": REPLY,
             "cache_reuse": REUSE, "cores": os.cpu_count(), **found}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
