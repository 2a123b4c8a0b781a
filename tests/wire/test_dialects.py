"""The table of dialects: which body is whose, what each reads, answers, streams and refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import InputError
from puna.generation import MAX_STOPS, RANGES, Sampling
from puna.messages import Dialog, Role
from puna.wire import reading
from puna.wire.dialect import Dialect, Field, Request
from puna.wire.dialects import DIALECTS, dialect_of

from .answered import CUT, FACTS, RECEIPT, records, stopped_by, whole

HELLO = Dialog().append(Role.USER, "Hi")
EULA = {"accept_eula": "true"}


def read(name: str, value: object, attributes: dict[str, str] | None = None) -> Request:
    return reading.read(DIALECTS[name], value, attributes)


# ---- whose a body is


@pytest.mark.parametrize(
    ("body", "attributes", "name"),
    [
        ({"prompt": "Hi"}, {}, "workshop"),
        ({"prompt": "Hi", "max_tokens_to_sample": 5, "temperature": 1}, {}, "workshop"),
        ({"messages": [], "max_tokens_to_sample": 5}, {}, "workshop"),
        ({"prompt": "Hi", "max_tokens": 5}, {}, "completion"),
        ({"prompt": ["Hi", "Ho"]}, {}, "completion"),
        ({"prompt": "Hi", "model": "x"}, {}, "completion"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, {}, "chat"),
        ({"inputs": "Hi"}, {}, "lmi"),
        ({"inputs": "Hi", "parameters": {"stop_sequences": ["x"]}}, {}, "lmi"),
        ({"inputs": "Hi", "parameters": {"stop": ["x"]}}, {}, "tgi"),
        ({"inputs": "Hi", "parameters": {"best_of": 1}}, {}, "tgi"),
        ({"inputs": "Hi"}, EULA, "jumpstart"),
        ({"inputs": "Hi", "stream": True}, EULA, "lmi"),
        ({"inputs": "Hi"}, {"accept_eula": "false"}, "jumpstart"),
        ({"inputs": [[{"role": "user", "content": "Hi"}]]}, {}, "jumpstart"),
        ({}, {}, "workshop"),
        ([1], {}, "workshop"),
        ({"temprature": 1}, {}, "workshop"),
    ],
)
def test_a_body_is_taken_by_its_shape(body: object, attributes: dict[str, str], name: str) -> None:
    assert dialect_of(body, attributes).name == name


# ---- reading: every field of every dialect

HUGGING = ("lmi", "lmi-sse", "lmi-tgi", "tgi", "hf", "jumpstart")


def body(dialect: Dialect, name: str, value: object) -> dict[str, Any]:
    """A body that is complete but for the field, and has it."""
    first = dialect.fields[0].name
    whole: dict[str, Any] = {first: [{"role": "user", "content": "Hi"}] if first == "messages" else "Hi"}
    outer, dot, inner = name.partition(".")
    return {**whole, outer: {inner: value} if dot else value}


EVERY = [(dialect, entry) for dialect in DIALECTS.values() for entry in dialect.fields]


def ids(value: object) -> str:
    return value.name if isinstance(value, Dialect | Field) else str(value)


@pytest.mark.parametrize(("dialect", "entry"), [(d, e) for d, e in EVERY if e.to in RANGES], ids=ids)
def test_a_sampling_field_sets_its_parameter_within_its_range(dialect: Dialect, entry: Field) -> None:
    assert entry.to is not None
    kind, low, high = RANGES[entry.to]
    for value in (low, high):
        more = {"parameters": {"do_sample": True}} if dialect.name in HUGGING else {}
        full = body(dialect, entry.name, kind(value))
        if "parameters" in full and more:
            full["parameters"] |= {"do_sample": True} if dialect.name != "jumpstart" else {}
        request = reading.read(dialect, full, EULA)
        assert getattr(request.sampling, entry.to) == value
        assert entry.to in request.given
    beyond: list[object] = [low - 1, high + 1, "1", [], {}, True]
    for wrong in beyond:
        with pytest.raises(InputError, match="must|max_tokens") as caught:
            reading.read(dialect, body(dialect, entry.name, wrong), EULA)
        assert entry.name in str(caught.value)


@pytest.mark.parametrize(("dialect", "entry"), [(d, e) for d, e in EVERY if e.only is not None], ids=ids)
def test_what_is_not_offered_is_refused_by_name_but_not_where_it_changes_nothing(
    dialect: Dialect, entry: Field
) -> None:
    for value in (*(entry.only or ()), None):
        reading.read(dialect, body(dialect, entry.name, value), EULA)
    with pytest.raises(InputError, match=f"{entry.name} is not supported"):
        reading.read(dialect, body(dialect, entry.name, {"some": "thing"}), EULA)


@pytest.mark.parametrize(("dialect", "entry"), [(d, e) for d, e in EVERY if e.leaked], ids=ids)
def test_what_clients_leak_is_accepted_and_named(dialect: Dialect, entry: Field) -> None:
    assert reading.read(dialect, body(dialect, entry.name, {"any": "thing"}), EULA).ignored == (entry.name,)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=ids)
def test_an_unknown_field_is_refused_with_the_known_ones(dialect: Dialect) -> None:
    with pytest.raises(InputError, match="unknown field 'temprature'") as caught:
        reading.read(dialect, body(dialect, "temprature", 1), EULA)
    assert dialect.fields[0].name in str(caught.value)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=ids)
def test_null_is_not_given_for_every_field_but_the_first(dialect: Dialect) -> None:
    for entry in dialect.fields[1:]:
        request = reading.read(dialect, body(dialect, entry.name, None), EULA)
        assert not request.given


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=400)
@given(st.data(), st.sampled_from(sorted(DIALECTS)))
def test_a_request_is_read_or_refused_never_anything_else(data: st.DataObject, name: str) -> None:
    dialect = DIALECTS[name]
    value: dict[str, Any] = {}
    for entry in data.draw(st.lists(st.sampled_from(dialect.fields), max_size=5)):
        outer, dot, inner = entry.name.partition(".")
        drawn = data.draw(JSON | st.just([{"role": "user", "content": "Hi"}]) | st.just("Hi"))
        if dot and isinstance(value.setdefault(outer, {}), dict):
            value[outer][inner] = drawn
        else:
            value[outer] = drawn
    try:
        request = reading.read(dialect, value, EULA)
    except InputError:
        return
    assert isinstance(request.sampling, Sampling)
    assert request.prompts


# ---- how a container samples where nobody says


@pytest.mark.parametrize("name", ["lmi", "lmi-sse", "lmi-tgi", "tgi", "hf"])
def test_containers_of_hugging_face_are_greedy_unless_asked(name: str) -> None:
    assert read(name, {"inputs": "Hi"}).sampling.temperature == 0
    assert read(name, {"inputs": "Hi", "parameters": {"do_sample": True}}).sampling.temperature == 1
    sampled = Sampling(temperature=1, top_p=0.5, top_k=0, max_tokens=DIALECTS[name].defaults.max_tokens)
    assert read(name, {"inputs": "Hi", "parameters": {"do_sample": True, "top_p": 0.5}}).sampling == sampled
    greedy = read(name, {"inputs": "Hi", "parameters": {"do_sample": False, "temperature": 1.0}})
    assert greedy.sampling.temperature == 0
    assert greedy.ignored == ("parameters.temperature (do_sample is false)",)


def test_only_tgi_takes_a_temperature_alone_for_sampling() -> None:
    """LMI and transformers pass over it; so does puna there, but it says so."""
    body = {"inputs": "Hi", "parameters": {"temperature": 0.7}}
    assert (read("tgi", body).sampling.temperature, read("tgi", body).ignored) == (0.7, ())
    for name in ("lmi", "lmi-sse", "lmi-tgi", "hf"):
        request = read(name, body)
        assert (request.sampling.temperature, request.ignored) == (
            0,
            ("parameters.temperature (do_sample is not true)",),
        )


def test_the_openai_api_has_its_own_defaults() -> None:
    request = read("chat", {"messages": HELLO.as_json()})
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.top_k) == (1, 1, 0)
    assert request.open_end
    assert not read("chat", {"messages": HELLO.as_json(), "max_tokens": 5}).open_end
    assert read("completion", {"prompt": "Hi"}).sampling.max_tokens == 16


def test_two_names_of_one_parameter_must_agree() -> None:
    value = {"messages": HELLO.as_json(), "max_tokens": 5, "max_completion_tokens": 5}
    assert read("chat", value).sampling.max_tokens == 5
    with pytest.raises(InputError, match="max_tokens and max_completion_tokens mean the same"):
        read("chat", {**value, "max_tokens": 6})


# ---- messages as clients of OpenAI send them


def test_messages_of_clients_are_read_as_messages() -> None:
    request = read("chat", {"messages": [
        {"role": "developer", "content": "Be brief.", "name": "ops"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c", "tool_calls": None, "refusal": None},
        {"role": "user", "content": "d"},
    ]})  # fmt: skip
    (dialog,) = request.prompts
    assert isinstance(dialog, Dialog)
    assert [message.content for message in dialog] == ["Be brief.", "a\nb", "c", "d"]
    assert dialog.system == "Be brief."
    assert request.ignored == ("messages[0].name",)


@pytest.mark.parametrize(
    ("message", "part"),
    [
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            "images, sound and files are not supported",
        ),
        ({"role": "user", "content": [7]}, 'content[0] must be {"type": "text"'),
        ({"role": "tool", "content": "x", "tool_call_id": "1"}, "with just"),
        ({"role": "assistant", "content": None, "tool_calls": [{}]}, "with just"),
        ({"role": "user", "content": None}, "must be text"),
        (7, "must be an object"),
    ],
)
def test_messages_that_no_text_model_can_take_are_refused(message: object, part: str) -> None:
    with pytest.raises(InputError) as caught:
        read("chat", {"messages": [message]})
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"n": 0}, "n must be a whole number from 1 to 16"),
        ({"top_logprobs": 3}, "top_logprobs needs logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "from 0 to 20"),
        ({"response_format": "json"}, "response_format must be"),
        ({"response_format": {"type": "xml"}}, "response_format must be"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "schema must be an object"),
        ({"response_format": {"type": "json_schema", "json_schema": {"scheme": {}}}}, "but not 'scheme'"),
        ({"stream_options": {"usage": True}}, "stream_options must be"),
        ({"stream_options": {"include_usage": 1}}, "include_usage must be true or false"),
        ({"model": 7}, "model must be text"),
        ({"tools": [{"type": "function"}]}, "tools is not supported but as [], which changes nothing; leave it out"),
        ({"audio": {}}, "audio is not supported; leave it out"),
        ({"logit_bias": {"5": 1}}, "logit_bias is not supported"),
    ],
)
def test_fields_of_chat_are_refused_in_their_own_words(fields: dict[str, object], part: str) -> None:
    with pytest.raises(InputError) as caught:
        read("chat", {"messages": HELLO.as_json(), **fields})
    assert part in str(caught.value)


def test_a_schema_goes_on_as_text() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    value = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    found = read("chat", {"messages": HELLO.as_json(), "response_format": value}).extras.schema
    assert found is not None
    assert json.loads(found) == schema
    assert read("chat", {"messages": HELLO.as_json(), "response_format": {"type": "json_object"}}).extras.schema == (
        '{"type": "object"}'
    )


# ---- completions


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [("Hi", ("Hi",)), (["a", "b"], ("a", "b")), ([1, 2], ((1, 2),)), ([[1], [2, 3]], ((1,), (2, 3)))],
)
def test_prompts_of_completions(prompt: object, prompts: tuple[object, ...]) -> None:
    assert read("completion", {"prompt": prompt}).prompts == prompts


@pytest.mark.parametrize("prompt", ["", [], [""], [1.5], [-1], [True], [[]], [["a"]], {}, 7, [1, "a"], [[1], "", 3]])
def test_other_prompts_are_refused(prompt: object) -> None:
    with pytest.raises(InputError, match="prompt"):
        read("completion", {"prompt": prompt})


def test_one_request_asks_for_so_many_answers_at_most() -> None:
    assert len(read("completion", {"prompt": ["a"] * 4, "n": 16}).prompts) == 4
    with pytest.raises(InputError, match="5 prompts with n=16 ask for more than 64 answers"):
        read("completion", {"prompt": ["a"] * 5, "n": 16})


def test_no_tokens_are_for_the_probabilities_of_the_prompt() -> None:
    request = read("completion", {"prompt": "Hi", "max_tokens": 0, "echo": True, "logprobs": 1})
    assert request.silent
    assert request.echo
    with pytest.raises(InputError, match="max_tokens must be 1 or more, but for the prompt's"):
        read("completion", {"prompt": "Hi", "max_tokens": 0})


# ---- JumpStart


def test_the_licence_must_be_accepted() -> None:
    for attributes in ({}, {"accept_eula": "false"}):
        with pytest.raises(InputError, match="Need to pass custom_attributes='accept_eula=true' as part of header"):
            read("jumpstart", {"inputs": "Hi"}, attributes)
    assert read("jumpstart", {"inputs": "Hi"}, EULA).prompts == ("Hi",)


def test_several_dialogs_are_answered_one_by_one() -> None:
    request = read("jumpstart", {"inputs": [HELLO.as_json()]}, EULA)
    assert request.prompts == (HELLO,)
    assert whole(DIALECTS["jumpstart"], request) == [{"generation": {"role": "assistant", "content": "Hi 🦙"}}]
    assert whole(DIALECTS["jumpstart"], read("jumpstart", {"inputs": "Ho"}, EULA)) == [{"generation": "Hi 🦙"}]


# ---- answers and streams


def test_the_answers_of_the_workshop() -> None:
    request = read("workshop", {"prompt": "x"})
    assert whole(DIALECTS["workshop"], request) == {"outputs": ["Hi 🦙"]}
    assert records(DIALECTS["workshop"], request) == [{"outputs": ["Hi"]}, {"outputs": [" 🦙"]}]


TOKENS = [(11, "Hi", -0.5), (13, " ", -0.25), (14, "", -1.0), (15, "🦙", -0.125)]


@pytest.mark.parametrize("name", ["lmi", "lmi-sse"])
def test_the_answers_of_lmi(name: str) -> None:
    plain = read(name, {"inputs": "x"})
    assert whole(DIALECTS[name], plain) == {"generated_text": "Hi 🦙"}
    expected: list[dict[str, object]] = [{"token": {"id": n, "text": text, "log_prob": p}} for n, text, p in TOKENS]
    expected[-1]["generated_text"] = "Hi 🦙"
    assert records(DIALECTS[name], plain) == expected
    detailed = read(name, {"inputs": "x", "parameters": {"details": True, "return_full_text": True}})
    details = {"finish_reason": "eos_token", "generated_tokens": 4, "inputs": "x"}
    tokens = [{"id": n, "text": text, "log_prob": p} for n, text, p in TOKENS]
    assert whole(DIALECTS[name], detailed) == {"generated_text": "xHi 🦙", "details": {**details, "tokens": tokens}}
    last: Any = records(DIALECTS[name], detailed)[-1]
    assert (last["generated_text"], last["details"]) == ("xHi 🦙", details)


@pytest.mark.parametrize("name", ["tgi", "lmi-tgi"])
def test_the_answers_of_tgi(name: str) -> None:
    plain = read(name, {"inputs": "x"})
    assert whole(DIALECTS[name], plain) == [{"generated_text": "Hi 🦙"}]
    found: Any = records(DIALECTS[name], plain)
    assert [entry["index"] for entry in found] == [1, 2, 3, 4]
    assert [tuple(entry["token"].values()) for entry in found] == [(*entry, False) for entry in TOKENS]
    assert [entry["generated_text"] for entry in found] == [None, None, None, "Hi 🦙"]
    assert {entry["details"] for entry in found} == {None}
    detailed = read(name, {"inputs": "x", "parameters": {"details": True, "top_n_tokens": 2}})
    details: Any = whole(DIALECTS[name], detailed)
    details = details[0]["details"]
    assert (details["finish_reason"], details["generated_tokens"], details["seed"], details["prefill"]) == (
        "eos_token",
        4,
        7,
        [],
    )
    assert [token["id"] for token in details["top_tokens"][0]] == [11, 12]
    last: Any = records(DIALECTS[name], detailed, CUT)[-1]
    assert last["details"] == {"finish_reason": "length", "generated_tokens": 4, "seed": 7, "input_length": 12}
    stopped: Any = records(DIALECTS[name], detailed, stopped_by("END"))[-1]
    assert stopped["details"]["finish_reason"] == "stop_sequence"


@pytest.mark.parametrize("name", ["lmi", "tgi"])
def test_an_answer_of_no_token_has_a_last_record_all_the_same(name: str) -> None:
    (only,) = records(DIALECTS[name], read(name, {"inputs": "x"}), deltas=())
    assert isinstance(only, dict)
    assert only["generated_text"] == ""
    assert only["token"]["text"] == ""


def test_the_answer_of_the_toolkit_has_the_prompt() -> None:
    assert whole(DIALECTS["hf"], read("hf", {"inputs": "x: "})) == [{"generated_text": "x: Hi 🦙"}]
    short = read("hf", {"inputs": "x: ", "parameters": {"return_full_text": False}})
    assert whole(DIALECTS["hf"], short) == [{"generated_text": "Hi 🦙"}]
    assert DIALECTS["hf"].body.encode([{"generated_text": "x, y"}]) == b'[{"generated_text":"x, y"}]'
    assert {dialect.body.encode([{"a": 1}]) for dialect in DIALECTS.values()} == {b'[{"a": 1}]\n', b'[{"a":1}]'}


USAGE = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 4}}


def test_the_answers_of_chat() -> None:
    request = read("chat", {"messages": HELLO.as_json()})
    found: Any = whole(DIALECTS["chat"], request)
    assert found == {
        "id": "chatcmpl-an-id",
        "object": "chat.completion",
        "created": FACTS.created,
        "model": "llama-2-7b",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "Hi 🦙", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }],
        "usage": USAGE,
        "system_fingerprint": "an-engine",
    }  # fmt: skip
    chunks: Any = records(DIALECTS["chat"], request, CUT)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""}, {"content": "Hi"}, {"content": " "}, {"content": "🦙"}, {},
    ]  # fmt: skip
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 4 + ["length"]
    assert all("usage" not in chunk for chunk in chunks)


def test_a_stream_of_chat_tells_its_usage_where_it_is_asked_to() -> None:
    options = {"stream_options": {"include_usage": True}}
    chunks: Any = records(DIALECTS["chat"], read("chat", {"messages": HELLO.as_json(), **options}))
    assert [chunk["usage"] for chunk in chunks] == [None] * 5 + [USAGE]
    assert chunks[-1]["choices"] == []


def test_log_probabilities_of_chat() -> None:
    request = read("chat", {"messages": HELLO.as_json(), "logprobs": True, "top_logprobs": 2})
    found: Any = whole(DIALECTS["chat"], request)
    content = found["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in content] == ["Hi", " ", "bytes:\\xf0\\x9f", "bytes:\\xa6\\x99"]
    assert b"".join(bytes(entry["bytes"]) for entry in content).decode() == "Hi 🦙"
    assert [other["token"] for other in content[0]["top_logprobs"]] == ["Hi", "Ho"]
    chunks: Any = records(DIALECTS["chat"], request)
    streamed = [
        entry
        for chunk in chunks
        if chunk["choices"][0]["logprobs"]
        for entry in chunk["choices"][0]["logprobs"]["content"]
    ]
    assert streamed == content


def test_log_probabilities_of_completions() -> None:
    request = read("completion", {"prompt": "x", "logprobs": 2})
    found: Any = whole(DIALECTS["completion"], request)
    assert found["choices"][0]["logprobs"] == {
        "text_offset": [0, 2, 3, 3],
        "token_logprobs": [-0.5, -0.25, -1.0, -0.125],
        "tokens": ["Hi", " ", "bytes:\\xf0\\x9f", "bytes:\\xa6\\x99"],
        "top_logprobs": [
            {"Hi": -0.5, "Ho": -1.5},
            {" ": -0.25},
            {"bytes:\\xf0\\x9f": -1.0},
            {"bytes:\\xa6\\x99": -0.125},
        ],
    }
    chunks: Any = records(DIALECTS["completion"], request)
    columns = [chunk["choices"][0]["logprobs"] for chunk in chunks if chunk["choices"][0]["logprobs"]]
    joined = {name: [entry for column in columns for entry in column[name]] for name in columns[0]}
    assert joined == found["choices"][0]["logprobs"]


def test_the_usage_of_several_answers_counts_the_prompt_once() -> None:
    from puna.wire.dialect import Choice

    request = read("completion", {"prompt": ["a", "b"], "n": 2})
    choices = [Choice(n, "", ["t"], receipt=RECEIPT) for n in range(4)]
    found: Any = DIALECTS["completion"].whole(FACTS, request, choices)
    assert found["usage"] == {
        "prompt_tokens": 24, "completion_tokens": 16, "total_tokens": 40, "prompt_tokens_details": {"cached_tokens": 8},
    }  # fmt: skip


# ---- on the wire


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=ids)
def test_every_record_and_every_error_is_one_line_of_ascii_with_its_end(dialect: Dialect) -> None:
    for record in ({"text": "\u2028🦙\r\n"}, dialect.broken(500, "it\nbroke")):
        data = dialect.framing.encode(record)
        assert data.isascii()
        assert data.endswith(b"\n")
        assert len(data.strip().splitlines()) == 1
    assert isinstance(dialect.error(400, "no"), dict)


def test_the_framings() -> None:
    assert {name: dialect.framing.encode({}) + dialect.framing.done for name, dialect in DIALECTS.items()} == {
        "workshop": b"{}\n",
        "completion": b"data: {}\n\ndata: [DONE]\n\n",
        "chat": b"data: {}\n\ndata: [DONE]\n\n",
        "jumpstart": b"{}\n",
        "tgi": b"data:{}\n\n",
        "lmi": b"{}\n",
        "lmi-sse": b"data: {}\n\n",
        "lmi-tgi": b"data: {}\n\n",
        "lmi-chat": b"{}\n",
        "hf": b"{}\n",
    }


def test_how_many_stops_there_may_be() -> None:
    stops = [str(n) for n in range(MAX_STOPS + 1)]
    with pytest.raises(InputError, match=r"parameters\.stop_sequences must be a text or a list of at most 16"):
        read("lmi", {"inputs": "x", "parameters": {"stop_sequences": stops}})
