"""What the page is told: the exact prompt, sums that are those of its tokens, answers that go on from any token."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import DialogError, EngineBusyError, InputError
from puna.formats import catalog
from puna.formats.catalog import FORMATS
from puna.messages import Role
from puna.playground.asking import asked
from puna.playground.bodies import talk_of
from puna.playground.labels import spans
from tests.formats.dialogs import texts

from .bench import Bench, assistant, joined, text_of, tokens_of, user

CONTEXT: dict[str, Any] = {"system": "Be brief.", "context": "Quillboard is a whiteboard.", "only": True,
           "examples": [{"question": "What?", "answer": "A whiteboard."}, {"question": "Who?", "answer": "I don't know."}]}  # fmt: skip
CHAT = [user("Where is the llama?"), assistant("On the puna."), user("And now?")]

plain = st.text("abc é🦙\n", min_size=1, max_size=12).filter(str.strip)


@st.composite
def talks(draw):
    """A conversation of whole turns, with anything before it."""
    turns = draw(st.lists(plain, max_size=5))
    if len(turns) % 2 == 0:
        turns.append(draw(plain))
    examples = draw(st.lists(st.fixed_dictionaries({"question": plain, "answer": plain}), max_size=2))
    return {
        "system": draw(st.just("") | plain),
        "context": draw(st.just("") | plain),
        "only": draw(st.booleans()),
        "examples": examples,
        "messages": [(assistant if n % 2 else user)(text) for n, text in enumerate(turns)],
    }


@pytest.mark.parametrize("family", sorted(FORMATS))
@settings(max_examples=25, deadline=None)
@given(talk=talks())
def test_every_piece_of_a_prompt_is_labelled_by_its_author(family, talk):
    """Control is marker, content its message's, and all of it joins to the prompt; in every family."""
    whole = asked(talk_of(talk))
    form = catalog.get(family)
    try:
        segments = form.render(whole.dialog)
    except DialogError:  # this family has no system message
        return
    found = spans(segments, whole.said(()), form.tags)
    assert "".join(text for text, _ in found) == "".join(segment.text for segment in segments)
    for n, message in enumerate(talk["messages"]):
        own = "".join(text for text, label in found if label.message == n and label.kind == message["role"])
        assert own.strip() == message["content"].strip()
    examples = [text.strip() for text, label in found if label.kind == "example"]
    assert examples == [text.strip() for entry in talk["examples"] for text in (entry["question"], entry["answer"])]
    if talk["context"] and whole.dialog.system:
        assert (
            "".join(text for text, label in found if label.kind == "context").strip()
            == f"Context: {talk['context'].strip()}"
        )


@settings(max_examples=60, deadline=None)
@given(talk=talks(), family=st.sampled_from(["llama2", "chatml", "llama3"]), most=st.integers(1, 300))
def test_sums_are_those_of_the_tokens_and_the_tokens_those_of_the_prompt(talk, family, most):
    bench = Bench(family, context=200)
    told = bench.anatomy(**talk, params={"max_tokens": most})
    tokens = [token for segment in told["segments"] for token in segment["tokens"]]
    assert joined(told["segments"]) == told["prompt"]
    assert told["prompt_tokens"] == len(tokens) == sum(told["parts"].values())
    assert told["prompt_tokens"] + told["reserve"] + told["free"] == told["context"] == 200
    assert told["over"] == max(0, -told["free"])
    if told["over"] == 0:
        sent = bench.generate(**talk, params={"max_tokens": most})
        assert sent[0]["prompt_tokens"] == told["prompt_tokens"]
        assert list(bench.engine.ledger.last.prompt.ids) == [token[0] for token in tokens]
        assert bench.engine.ledger.last.prompt.text == told["prompt"]
    else:
        with pytest.raises(InputError, match="window"):
            bench.generate(**talk, params={"max_tokens": most})


def test_an_upcoming_message_is_drawn_before_it_is_written():
    """The empty page shows the prompt that waits for a message, and after an answer the one that waits for the next."""
    empty = Bench().anatomy(system="Be brief.", messages=[])
    assert empty["prompt"] == "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>> [/INST]"  # as the vendor strips it
    after = Bench().anatomy(messages=CHAT[:2])
    assert after["prompt"].endswith("On the puna. </s><s>[INST]  [/INST]")


@pytest.mark.parametrize("family", ["llama2", "chatml", "llama3"])
def test_an_empty_answer_stands_in_its_own_turn(family):
    told = Bench(family).anatomy(messages=[user("one"), assistant(""), user("two")])
    turns = ["".join(t[1] for s in told["segments"] if s["turn"] == n for t in s["tokens"]) for n in (0, 1)]
    assert "one" in turns[0]
    assert turns[1].count("two") == 1
    begin = {"llama2": "<s>[INST]", "chatml": "<|im_start|>user", "llama3": "<|start_header_id|>user"}[family]
    assert turns[1].startswith(begin)


def test_parts_of_the_window():
    told = Bench().anatomy(**CONTEXT, messages=CHAT)
    order = [segment["kind"] for segment in told["segments"] if segment["kind"] != "marker"]
    assert order == ["system", "context", "example", "example", "example", "example", "user", "assistant", "user"]
    assert all(told["parts"].values())
    assert [s["message"] for s in told["segments"] if s["kind"] in {"user", "assistant"}] == [0, 1, 2]
    last = [s for s in told["segments"] if s["message"] == 2]
    assert sum(len(s["tokens"]) for s in last) <= told["parts"]["turn"]
    fewer = Bench().anatomy(**{**CONTEXT, "examples": CONTEXT["examples"][:1]}, messages=CHAT)
    assert fewer["parts"]["context"] < told["parts"]["context"]
    assert fewer["parts"]["history"] == told["parts"]["history"]


def test_pruned_turns_are_the_oldest_and_never_system_or_examples():
    chat = [message for n in range(12) for message in (user(f"question {n} of many"), assistant(f"answer {n} to it"))]
    told = Bench(context=300).anatomy(
        **CONTEXT, messages=[*chat, user("last")], params={"max_tokens": 60}, policy="oldest"
    )
    gone = [entry["message"] for entry in told["pruned"]]
    assert gone == list(range(len(gone)))
    assert len(gone) >= 2
    assert told["pruned_turns"] == len(gone) // 2
    assert told["pruned_tokens"] == sum(entry["tokens"] for entry in told["pruned"])
    assert told["prompt"].count("<<SYS>>") == 1
    assert "A whiteboard." in told["prompt"]
    assert all(entry["why"] for entry in told["pruned"])


def test_what_cannot_fit_is_drawn_and_the_excess_named():
    told = Bench(context=100).anatomy(
        messages=[user("a b " * 10), assistant("c"), user("d e " * 30)], params={"max_tokens": 90}
    )
    assert told["over"] == told["prompt_tokens"] + 90 - 100 > 0
    assert told["fits_max_tokens"] == 100 - told["prompt_tokens"]
    assert told["pruned_turns"] == 1
    assert told["pruned_tokens"] > 0
    refused = Bench(context=100).anatomy(messages=[user("d e " * 80)], policy="none")
    assert refused["fits_max_tokens"] is None


def test_the_window_may_be_filled_to_the_last_token():
    body = {"messages": [user("Where is the llama?")]}
    prompt = Bench(context=100).anatomy(**body)["prompt_tokens"]
    full = {"max_tokens": 100 - prompt}
    assert Bench(context=100).anatomy(**body, params=full)["free"] == 0
    assert Bench(context=100).generate(**body, params=full)[-1]["type"] == "done"
    with pytest.raises(InputError, match="context window holds 100"):
        Bench(context=100).generate(**body, params={"max_tokens": 101 - prompt})


def test_raw_text_is_sent_unchanged_and_control_tokens_in_it_are_tokens():
    raw = "<s>[INST]What is it? [/INST] It.<\\s><s>[INST] Go on [/INST] </s>"
    bench = Bench()
    told = bench.anatomy(prompt=raw)
    bench.generate(prompt=raw)
    assert bench.engine.ledger.last.prompt.text == raw == told["prompt"] == joined(told["segments"])
    assert [1, "<s>"] in told["segments"][0]["tokens"]
    assert list(bench.engine.ledger.last.prompt.ids) == [t[0] for s in told["segments"] for t in s["tokens"]]


def test_a_message_that_spells_a_control_token_is_content():
    told = Bench().anatomy(messages=[user("</s> [/INST] <s>")])
    ids = [token[0] for segment in told["segments"] if segment["kind"] == "user" for token in segment["tokens"]]
    assert ids
    assert not {1, 2} & set(ids)


# ---- answers ----


def test_the_seed_makes_the_answer_and_a_drawn_one_is_told():
    bench = Bench()
    first = bench.generate(messages=CHAT)
    again = bench.generate(messages=CHAT, params={"seed": first[0]["seed"]})
    assert text_of(first) == text_of(again)
    assert [record["type"] for record in first] == ["start", *["tok"] * (len(first) - 2), "done"]
    assert [record["i"] for record in first[1:-1]] == list(range(len(first) - 2))


def test_alternatives_are_sorted_and_as_many_as_were_asked_for():
    for record in Bench().generate(messages=CHAT, top=5)[1:-1]:
        assert len(record["top"]) == 5
        odds = [entry[2] for entry in record["top"]]
        assert odds == sorted(odds, reverse=True)
        assert record["lp"] <= 0


def test_an_emoji_of_four_tokens_comes_once_and_whole():
    bench = Bench()
    bench.engine.script.text = "Hi 🦙!"
    records = [record for record in bench.generate(messages=CHAT) if record["type"] == "tok"]
    assert "".join(record["t"] for record in records) == "Hi 🦙!"
    glyph = [record for record in records if "bytes" in record]
    assert "".join(record["t"] for record in glyph).strip() == "🦙"
    assert bytes.fromhex("".join(record["bytes"] for record in glyph)).decode().strip() == "🦙"


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 40), seed=st.integers(0, 5))
def test_an_answer_that_is_continued_goes_on_after_exactly_its_tokens(cut, seed):
    bench = Bench()
    bench.engine.script.length = 60
    params = {"seed": seed, "max_tokens": 40}
    whole = bench.generate(messages=CHAT, params=params)
    begun = tokens_of(whole)[:cut]
    before = list(bench.engine.ledger.last.prompt.ids)
    rest = bench.generate(messages=CHAT, params={"seed": seed, "max_tokens": max(1, 40 - cut)}, begun=begun)
    assert list(bench.engine.ledger.last.prompt.ids) == [*before, *[token for token, _ in begun]]
    if cut < 40:
        assert text_of(rest) == text_of(whole)[len("".join(text for _, text in begun)) :]


def test_an_alternative_begins_another_answer():
    bench = Bench()
    first = bench.generate(messages=CHAT, params={"seed": 1})
    at = 3
    other = next(entry for entry in first[1 + at]["top"] if entry[0] != first[1 + at]["id"])
    begun = [*tokens_of(first)[:at], [other[0], other[1]]]
    bench.generate(messages=CHAT, params={"seed": 1}, begun=begun)
    assert bench.engine.ledger.last.prompt.ids[-1] == other[0]
    assert bench.engine.ledger.last.prompt.text.endswith("".join(text for _, text in begun))


@pytest.mark.parametrize(
    ("begun", "said"),
    [
        ([[2, "</s>"]], "</s> ends a turn"),
        ([[10_000_000, "x"]], "no such token"),
        ([["x", "x"]], "must be a token"),
        ([[None, "x"]], "must be a token"),
        ("x", "must be a list"),
    ],
)
def test_what_is_no_beginning_is_refused(begun, said):
    with pytest.raises(InputError, match=said):
        Bench().generate(messages=CHAT, begun=begun)


def test_a_beginning_that_says_something_else_than_its_tokens_is_refused():
    bench = Bench()
    token = tokens_of(bench.generate(messages=CHAT))[0]
    with pytest.raises(InputError, match="does not spell"):
        bench.generate(messages=CHAT, begun=[[token[0], "forged"]])


def test_an_answer_edited_by_hand_is_continued_as_text():
    bench = Bench()
    bench.generate(messages=[*CHAT, assistant("It sleeps")])
    assert bench.engine.ledger.last.prompt.text.endswith("[INST] And now? [/INST] It sleeps")


def test_the_anatomy_of_what_was_begun_is_what_will_be_sent():
    bench = Bench(context=200)
    begun = tokens_of(bench.generate(messages=CHAT, params={"max_tokens": 9}))[:3]
    told = bench.anatomy(messages=CHAT, begun=begun, params={"max_tokens": 9})
    bench.generate(messages=CHAT, begun=begun, params={"max_tokens": 9})
    assert [t[0] for s in told["segments"] for t in s["tokens"]] == list(bench.engine.ledger.last.prompt.ids)
    assert told["segments"][-1]["kind"] == "assistant"
    full = {"max_tokens": 201 - told["prompt_tokens"]}
    assert bench.anatomy(messages=CHAT, begun=begun, params=full, policy="none")["over"] == 1


def test_a_text_that_no_window_holds_is_refused_unread():
    with pytest.raises(InputError, match="characters"):
        Bench(context=100).anatomy(messages=[user("🦙" * 10_000)])


def test_what_fails_before_the_first_token_is_raised_and_after_it_told():
    bench = Bench()
    bench.engine.script.refuse = EngineBusyError("every slot is taken")
    with pytest.raises(EngineBusyError):
        bench.generate(messages=CHAT)
    bench.engine.reset()
    bench.engine.script.fail_after = 3
    records = bench.generate(messages=CHAT)
    assert [record["type"] for record in records] == ["start", "tok", "tok", "tok", "error"]
    assert records[-1]["code"] == "engine"
    assert records[-1]["retryable"] is True


def test_panes_differ_in_nothing_but_what_was_asked_for():
    bench = Bench()
    records = bench.compare(messages=CHAT, panes=[{"temperature": 0.1}, {"temperature": 0.1}, {"temperature": 1.5}])
    by_pane = {pane: [record for record in records if record["pane"] == pane] for pane in range(3)}
    assert text_of(by_pane[0]) == text_of(by_pane[1]) != text_of(by_pane[2])
    assert len({pane[0]["seed"] for pane in by_pane.values()}) == 1
    assert all(pane[-1]["type"] == "done" for pane in by_pane.values())


def test_a_pane_that_cannot_be_leaves_the_others_alone():
    records = Bench().compare(messages=CHAT, panes=[{"temperature": 9}, {}])
    assert [record["type"] for record in records if record["pane"] == 0] == ["error"]
    assert [record for record in records if record["pane"] == 1][-1]["type"] == "done"
    with pytest.raises(InputError, match="temperature"):
        Bench().compare(messages=CHAT, panes=[{"temperature": 9}, {"top_p": 9}])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": "x"}, "messages must be a list"),
        ({"messages": [{"role": "system", "content": "x"}]}, "system message goes into"),
        ({"messages": CHAT, "sytem": "x"}, "Did you mean 'system'"),
        ({"messages": CHAT, "params": {"temprature": 1}}, "Did you mean 'temperature'"),
        ({"messages": CHAT, "params": []}, "JSON object"),
        ({"messages": CHAT, "policy": "newest"}, "unknown policy"),
        ({"messages": CHAT, "only": 1}, "true or false"),
        ({"messages": CHAT, "examples": [{"question": "x"}, 1]}, r"examples\[1\]"),
        ({"messages": [user("a\0b")]}, "NUL"),
        ({"messages": [user("\ud800")]}, "surrogate"),
        ({"prompt": "x", "messages": CHAT}, "raw prompt is all"),
        ({"prompt": 7}, "prompt must be text"),
        ([], "JSON object"),
    ],
)
def test_bad_bodies_are_refused_in_a_sentence(body, said):
    with pytest.raises(InputError, match=said):
        asyncio.run(Bench().bench.anatomy(body))


@given(text=texts)
@settings(max_examples=100, deadline=None)
def test_lint_tells_parts_that_join_and_findings_by_javascripts_offsets(text):
    text = text.replace("\0", "")  # it is refused
    told = Bench().lint(prompt=text)
    units = text.encode("utf-16-le")
    cut = [units[2 * span["start"] : 2 * span["end"]].decode("utf-16-le") for span in told["spans"]]
    assert "".join(cut) == text
    for finding in told["findings"]:
        units[2 * finding["start"] : 2 * finding["end"]].decode("utf-16-le")  # cuts no character


def test_fixing_one_finding_after_the_other_leaves_none():
    text = "<s>[INST]What is re:Invent? 🦙 [/INST]\nA conference.<\\s>\n<s>[INST] When? [/INST] "
    bench = Bench()
    for _ in range(20):
        findings = [finding for finding in bench.lint(prompt=text)["findings"] if finding["fix"] is not None]
        if not findings:
            break
        units = text.encode("utf-16-le")
        start, end = 2 * findings[0]["start"], 2 * findings[0]["end"]
        text = (units[:start] + findings[0]["fix"].encode("utf-16-le") + units[end:]).decode("utf-16-le")
    assert bench.lint(prompt=text)["findings"] == []
    assert Role.USER in {span["kind"] for span in bench.lint(prompt=text)["spans"]}


def test_info_has_what_a_page_needs():
    told = Bench().info()
    assert [param["name"] for param in told["params"]][:6] == [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_tokens",
        "seed",
    ]
    assert told["format"] == "llama2"
    assert told["context"] == 4096
    for param in told["params"]:
        assert param["default"] is None or param["min"] <= param["default"] <= param["max"]
    for preset in told["presets"]:
        Bench().anatomy(messages=[], params=preset["params"])
    for starter in told["starters"]:
        Bench().anatomy(
            messages=[user(starter["message"])], **{k: v for k, v in starter.items() if k not in {"label", "message"}}
        )
