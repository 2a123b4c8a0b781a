"""The client of SageMaker endpoints, against puna's own: every dialect, every fault, every proof; and against what is no such endpoint."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from puna.chat import Spine
from puna.engines.base import Speaks
from puna.engines.sagemaker import SageMaker
from puna.engines.timeouts import Timeouts
from puna.errors import (
    EndpointError,
    EngineBusyError,
    EngineStoppedError,
    InputError,
    RefusedError,
    UnreachableError,
)
from puna.formats import catalog
from puna.generation import Delta, Extras, Finish, Kind, Prompt, Sampling, Segment, Usage
from puna.messages import Dialog, Role
from puna.server.auth import SigV4, Token
from puna.server.fault_plan import KINDS, Fault
from puna.server.faults import Faults
from puna.turn import Ask
from puna.wire import eventstream
from puna.wire.dialects import DIALECTS
from tests.engines.openai_server import serving, whole
from tests.engines.strange import Hang, strange
from tests.server.live import ENDPOINT, Live
from tests.server.test_sigv4 import KEY, KEYS, SECRET

HELLO = Dialog().append(Role.USER, "Hi")
TEXT = Prompt((Segment(Kind.CONTENT, "Hi"),))
CHAT = Prompt((), dialog=HELLO)
SAID = "Ein Lama frißt."
MESSAGES = ("workshop", "chat", "lmi-chat", "jumpstart")
"""Dialects in which an endpoint of puna's takes messages."""


async def all_of(stream):
    return [event async for event in stream]


def with_engine(work, url, endpoint=ENDPOINT, **options):
    """``work(engine, info)`` on a started engine."""

    async def scenario():
        engine = SageMaker(url, endpoint, **options)
        try:
            return await work(engine, await engine.start())
        finally:
            await engine.close()

    return asyncio.run(scenario())


def events(url, prompt, extras=None, sampling=None, **options):
    async def work(engine, _):
        return await all_of(engine.stream(prompt, sampling or Sampling(seed=3), extras or Extras()))

    return with_engine(work, url, **options)


def turn(url, *, ask=None, **options):
    """Deltas and receipt of a whole turn, or its error."""

    async def work(engine, info):
        form = catalog.get("chatml") if info.speaks is Speaks.TEXT else None
        prepared = await Spine(engine, info, form).prepare(ask or Ask(HELLO))
        return await all_of(prepared.stream())

    return with_engine(work, url, **options)


# ---- dialects


@pytest.mark.parametrize("how", ["configured", "found out"])
@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_is_spoken(live, name, how):
    live.service.dialect = name
    if name == "jumpstart" and how == "found out":
        return  # below
    wanted = name if how == "configured" else "auto"
    *deltas, receipt = turn(live.url, dialect=wanted)
    assert "".join(delta.text for delta in deltas) == SAID
    assert (receipt.finish, receipt.usage) == (Finish.STOP, Usage(41, 0, 4))
    assert (receipt.server["dialect"], receipt.server["detected"]) == (name, how == "found out")
    assert receipt.remote["dialect"] == name
    (asked,) = live.speaker.asked
    assert isinstance(asked.prompt, Dialog if name in MESSAGES else str)
    assert asked.sampling.seed == receipt.sampling.seed
    assert (asked.sampling.temperature, asked.sampling.max_tokens) == (0.6, 200)


@pytest.mark.parametrize("name", DIALECTS)
def test_log_probabilities_come_where_the_dialect_has_them(live, name):
    live.service.dialect = name
    prompt = CHAT if name in MESSAGES else TEXT
    if DIALECTS[name].alternatives is None:
        with pytest.raises(InputError, match="tells no log-probabilities"):
            events(live.url, prompt, Extras(0), dialect=name)
        return
    *deltas, _ = events(live.url, prompt, Extras(0), dialect=name)
    assert [token.data for delta in deltas for token in delta.logprobs] == [
        b"Ein",
        b" Lama",
        " frißt".encode(),
        b".",
    ]
    *deltas, _ = events(live.url, prompt, dialect=name)
    assert not any(delta.logprobs for delta in deltas)


def test_an_endpoint_of_punas_tells_what_it_is(live):
    async def work(engine, info):
        return info, engine.renders, await engine.reachable()

    info, renders, there = with_engine(work, live.url)
    assert (info.model, info.context, info.slots) == ("stand-in", 4096, 4)
    assert (info.speaks, info.safe) == (Speaks.MESSAGES, True)
    assert info.found == {
        "api": "sagemaker", "dialect": "chat", "detected": True, "logprobs": True, "alternatives": 20, "schema": True,
    }  # fmt: skip
    assert renders
    assert there
    live.service.dialect = "tgi"
    info, renders, _ = with_engine(work, live.url)
    assert (info.speaks, info.safe, renders) == (Speaks.TEXT, False, False)
    assert info.found["ignores"] == ["presence_penalty"]


def test_an_endpoint_of_punas_tells_the_prompt_that_it_makes(live):
    async def work(engine, _):
        prompt = await engine.prompt_of(HELLO)
        counter = engine.counter()
        return prompt, await asyncio.to_thread(counter.prompt, HELLO), counter is engine.counter()

    prompt, tokens, same = with_engine(work, live.url)
    assert (prompt.text, prompt.ids, prompt.dialog, tokens, same) == ("a b", (1, 2), HELLO, 2, True)
    live.service.dialect = "tgi"
    with pytest.raises(InputError, match="does not tell what prompt"):
        with_engine(lambda engine, _: engine.prompt_of(HELLO), live.url)


def test_messages_for_a_container_of_texts_want_a_format(live):
    live.service.dialect = "tgi"
    with pytest.raises(InputError, match=r"takes prompts as text \(dialect 'tgi'\).*--format"):
        events(live.url, CHAT)


def test_the_licence_is_the_users_to_accept(live):
    live.service.dialect = "jumpstart"
    with pytest.raises(InputError, match="demands that a licence be accepted; .*name the dialect 'jumpstart'"):
        turn(live.url)
    demand = refused({"error": "Need to pass custom_attributes='accept_eula=true' as part of header."}, 424)
    with pytest.raises(
        RefusedError, match="as part of header.; if you accept that licence, name the dialect 'jumpstart'"
    ):
        found_out(NO, demand)
    assert turn(live.url, dialect="jumpstart")[0].text == SAID


def test_an_unknown_length_is_left_to_the_container_or_told(live):
    *_, end = events(live.url, CHAT, Extras(open_end=True), dialect="chat")
    assert live.speaker.asked[-1].open_end
    assert "max_tokens" not in end.remote
    *_, end = events(live.url, TEXT, Extras(open_end=True), dialect="tgi")
    assert end.remote["max_tokens"] == 200


@pytest.mark.parametrize(
    ("endpoint", "dialect", "part"), [("", "auto", "an endpoint must be named"), ("x", "tgj", "unknown dialect 'tgj'. Did you mean 'tgi'")]
)  # fmt: skip
def test_what_cannot_be_is_refused_at_once(endpoint, dialect, part):
    with pytest.raises(InputError, match=part):
        SageMaker("http://h", endpoint, dialect=dialect)


# ---- faults


def always(kind, **more):
    return Fault(kind, **{"routes": KINDS[kind].routes, "every": 1, **KINDS[kind].keys, **more})


QUICK = {"late": {"seconds": 0.0}, "slow": {"seconds": 0.0}}
HARMLESS = {"late", "slow", "no-newline", "parts", "split"}
REFUSED = {
    "time-out": (424, "did not answer: Your invocation timed out .*; ask for fewer tokens"),
    "throttle": (429, r"\(ThrottlingException, 400\): Rate exceeded; too many requests"),
    "not-ready": (429, r"\(ModelNotReadyException, 429\).*the model is still being loaded there"),
    "unavailable": (503, r"\(ServiceUnavailable, 503\)"),
    "internal": (500, r"\(InternalFailure, 500\)"),
    "model-error": (500, r"the container of endpoint 'llama-2-7b' .* refused the prompt \(500\): a fault on purpose; its log: arn:aws:logs"),
}  # fmt: skip
BROKEN = {
    "malformed": "must be JSON|ended before|is longer",
    "cut": "the event stream ended in the middle of a frame",
    "drop": r"broke the answer off \(peer closed connection",
    "stream-broken": r"broke off with ModelStreamError, StreamBroken: The Transmission.*; ask again",
    "stream-time-out": "broke off with ModelStreamError, ModelInvocationTimeExceeded: Your model primary.*; ask for fewer tokens",
    "internal-stream-failure": "broke off with InternalStreamFailure: The stream processing failed",
}


def test_every_fault_is_tried():
    assert HARMLESS | REFUSED.keys() | BROKEN.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("name", DIALECTS)
def test_every_fault_ends_in_a_sentence_with_what_had_come(live, name, kind):
    live.service.dialect = name
    live.service.faults = Faults([always(kind, **QUICK.get(kind, {}))])
    options = {"dialect": name, "timeouts": Timeouts(first=60, between=60)}
    if kind in HARMLESS:
        *deltas, receipt = turn(live.url, **options)
        assert "".join(delta.text for delta in deltas) == SAID
        assert receipt.remote["faults"] == [kind]
        return
    with pytest.raises(EndpointError) as caught:
        turn(live.url, **options)
    error = caught.value
    if kind in REFUSED:
        status, sentence = REFUSED[kind]
        assert isinstance(error, RefusedError)
        assert (error.status, error.partial) == (status, None)
    else:
        sentence = BROKEN[kind]
        assert not isinstance(error, RefusedError)
        assert error.partial is None or SAID.startswith(error.partial)
    assert re.search(sentence, str(error)), error


def test_what_had_come_is_kept(live):
    for name in ("workshop", "lmi", "tgi", "completion"):
        live.service.dialect = name
        live.service.faults = Faults([always("stream-broken", after=2)])
        with pytest.raises(EndpointError) as caught:
            turn(live.url, dialect=name)
        assert caught.value.partial == "Ein Lama"


@pytest.mark.parametrize(
    ("fault", "timeouts", "part", "partial"),
    [
        (always("late", seconds=600.0), Timeouts(first=0.2), "began no answer within 0.2 s", None),
        (always("slow", after=2, seconds=600.0), Timeouts(first=60, between=0.2), "said nothing for 0.2 s", "Ein Lama"),
    ],
)
def test_none_hangs(live, fault, timeouts, part, partial):
    live.service.dialect = "workshop"
    live.service.faults = Faults([fault])
    with pytest.raises(EndpointError, match=part) as caught:
        turn(live.url, timeouts=timeouts)
    assert caught.value.partial == partial
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EngineBusyError("full"), 429),
        (EngineStoppedError("gone"), 503),
        (InputError("bad"), 400),
        (ValueError("bug"), 500),
    ],
)
def test_what_the_engine_behind_says_goes_through(live, error, status):
    live.speaker.unprepared = error
    with pytest.raises(RefusedError) as caught:
        turn(live.url)
    assert caught.value.status == status


# ---- who asks


@pytest.fixture(scope="module")
def guarded():
    live = Live(proofs=(SigV4(KEYS), Token("a-token")))
    yield live
    live.close()


def test_a_token_opens(guarded):
    assert turn(guarded.url, key="a-token")[0].text == "Ein"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, r"\(MissingAuthenticationTokenException, 403\).*it wants AWS credentials"),
        ({"key": "another"}, r"\(UnrecognizedClientException, 403\).*nobody there knows this access key"),
    ],
)
def test_without_a_proof_it_is_said_what_is_wanted(guarded, options, part):
    with pytest.raises(RefusedError, match=part) as caught:
        turn(guarded.url, **options)
    assert caught.value.status == 403


def configured(monkeypatch, url, **more):
    """AWS's configuration in the environment, and nothing of the machine's own."""
    told = {
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true", **more,
    }  # fmt: skip
    for name, value in told.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", DIALECTS)
def test_signed_requests_are_taken(guarded, monkeypatch, name):
    aws = pytest.importorskip("puna.engines.aws", reason="of puna[aws]")
    pytest.importorskip("botocore", reason="of puna[aws]")
    configured(monkeypatch, guarded.url)
    guarded.reset()
    guarded.service.dialect = name
    signer = aws.find_signer()
    assert (signer.url, signer.region) == (guarded.url, "eu-west-1")
    *deltas, receipt = turn(signer.url, signer=signer, dialect=name)
    assert "".join(delta.text for delta in deltas) == SAID
    assert receipt.usage == Usage(41, 0, 4)  # told by the receipt, for which was signed too


def test_a_wrong_secret_is_said(guarded, monkeypatch):
    aws = pytest.importorskip("puna.engines.aws", reason="of puna[aws]")
    pytest.importorskip("botocore", reason="of puna[aws]")
    configured(monkeypatch, guarded.url, AWS_SECRET_ACCESS_KEY="wrong")
    with pytest.raises(
        RefusedError, match="InvalidSignatureException.*check the secret access key, and this machine's clock"
    ):
        turn(guarded.url, signer=aws.find_signer())


# ---- containers that nobody has named


def framed(*payloads, exception=None):
    frames = [eventstream.payload_part(payload) for payload in payloads]
    return b"".join(frames) + (exception or b"")


def stream_of(*payloads, media=eventstream.MEDIA_TYPE, exception=None):
    body = framed(*payloads, exception=exception) if media == eventstream.MEDIA_TYPE else b"".join(payloads)
    return whole(200, body, media)


NO_HEALTH = whole(404, {"message": "no such route"})


def refused(body, status=400):
    """A ModelError whose container says so."""
    said = {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
        "Message": "Received client error",
        "OriginalStatusCode": status,
        "OriginalMessage": json.dumps(body),
    }
    return error_of("ModelError", said, 424)


def error_of(code, body, status=400):
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nx-amzn-ErrorType: {code}:http://internal/\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    return head.encode() + data


def found_out(*answers, prompt=TEXT, sampling=None, **options):
    """What was found, and the server; then an answer is asked for where there are answers left."""

    async def scenario():
        async with serving(NO_HEALTH, *answers) as server:
            engine = SageMaker(server.url, "e", **options)
            try:
                info = await engine.start()
                asked = len(server.asked)
                events_ = []
                if len(server.answers) > 1 or asked < len(answers) + 1:
                    events_ = await all_of(
                        engine.stream(prompt, sampling or Sampling(seed=3, temperature=0.5), Extras())
                    )
            finally:
                await engine.close()
            return info, server, events_

    return asyncio.run(scenario())


CHAT_WHOLE = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": " 4"}, "finish_reason": "length"}],
}
NO = refused({"error": "unknown field"})


@pytest.mark.parametrize(
    ("answers", "name", "speaks", "more"),
    [
        ((whole(200, CHAT_WHOLE),), "chat", Speaks.MESSAGES, {}),
        ((NO, whole(200, [{"generated_text": " 4", "details": {"finish_reason": "length", "tokens": []}}])), "tgi", Speaks.TEXT, {}),
        ((NO, whole(200, {"generated_text": " 4"})), "lmi", Speaks.TEXT, {}),
        ((NO, NO, whole(200, [{"generated_text": "1 2 3 4"}])), "hf", Speaks.TEXT, {"prompt": "repeated before the answer, and removed"}),
        ((NO, NO, NO, whole(200, {"outputs": [" 4"]})), "workshop", Speaks.TEXT, {}),
        ((NO, NO, NO, NO, whole(200, {"object": "text_completion", "choices": [{"text": " 4", "finish_reason": "length"}]})), "completion", Speaks.TEXT, {}),
        ((whole(200, {"outputs": [" 4"]}),), "workshop", Speaks.TEXT, {}),
        ((whole(200, {"outputs": ["on and on " * 20]}), whole(200, {"outputs": [" 4"]})), "workshop", Speaks.TEXT, {}),
        ((whole(200, {"outputs": ["on and on " * 20]}), whole(200, {"outputs": ["on " * 20]})), "workshop", Speaks.TEXT, {"max_tokens": "passed over in silence"}),
        ((whole(200, b'{"token":{"id":1,"text":" 4","log_prob":-0.5},"generated_text":" 4"}\n'),), "lmi", Speaks.TEXT, {}),
        ((whole(200, b'data:{"token":{"id":1,"text":" 4","logprob":-0.5,"special":false},"generated_text":" 4","details":null}\n\n', "text/event-stream"),), "tgi", Speaks.TEXT, {}),
    ],
)  # fmt: skip
def test_a_container_is_found_out_by_the_shape_of_its_answer(answers, name, speaks, more):
    info, server, _ = found_out(*answers)
    assert (info.found["dialect"], info.speaks, info.safe) == (name, speaks, False)
    for key in ("prompt", "max_tokens"):
        assert info.found.get(key) == more.get(key)
    assert len(server.asked) == 1 + len(answers)
    assert all(path == "/endpoints/e/invocations" for path, _ in server.asked[1:])
    asked = json.dumps([body for _, body in server.asked[1:]])
    assert asked.count(": 1,") + asked.count(": 1}") == len(answers)  # one token of each


def test_where_no_dialect_is_understood_all_that_was_tried_is_told():
    with pytest.raises(
        EndpointError,
        match=r"refuses one token in every dialect.*name the one.*chat: .*unknown field.* \| completion: ",
    ):
        found_out(NO)


@pytest.mark.parametrize(
    ("answer", "status", "part"),
    [
        (error_of("ValidationError", {"Message": "Endpoint e of account 1 not found."}), 400, "not found.; check the endpoint's name, the region and the account"),
        (error_of("ValidationError", {"Message": "Endpoint e of account 1 is not in service."}), 400, "wait until `aws sagemaker describe-endpoint` says InService"),
        (error_of("ValidationError", {"Message": "Inference Component Name header is required for endpoints"}), 400, "name the endpoint as NAME/COMPONENT"),
        (error_of("ExpiredTokenException", {"message": "The security token included in the request is expired"}, 403), 403, "the credentials have expired: get new ones"),
        (error_of("AccessDeniedException", {"Message": "User: x is not authorized to perform: sagemaker:InvokeEndpoint"}, 403), 403, "allow the caller sagemaker:InvokeEndpoint"),
        (error_of("ThrottlingException", {"Message": None}), 429, "too many requests at a time"),
        (error_of("InternalDependencyException", {"Message": "x"}, 530), 530, "a service behind it failed"),
        (error_of("ModelError", {"OriginalStatusCode": 503, "OriginalMessage": "busy", "LogStreamArn": "arn:x"}, 424), 503, r"refused the prompt \(503\): busy; its log: arn:x"),
        (whole(401, {"message": "who?"}), 401, "it wants credentials or a key"),
        (whole(403, {"message": "Forbidden"}), 403, r"\(403\): Forbidden"),
        (whole(404, {"message": "no"}), 404, "is that the address of a SageMaker Runtime"),
        (whole(413, {"message": "no"}), 413, "6 MiB at most"),
        (whole(502, b"bad gateway", "text/plain"), 502, "bad gateway"),
        (whole(404, b"<html><title>Not  &amp; found</title>", "text/html"), 404, r"answered with a web page \(404: 'Not & found'\)"),
    ],
)  # fmt: skip
def test_what_no_other_dialect_would_mend_is_told_at_once(answer, status, part):
    with pytest.raises(RefusedError, match=part) as caught:
        found_out(answer)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://login/\r\nContent-Length: 0\r\n\r\n",
            "sends its callers on to 'https://login/'",
        ),
        (
            whole(200, b"<!doctype html><title>Welcome</title>", "text/html"),
            "answered with a web page (200: 'Welcome')",
        ),
        (whole(200, b""), "answered with nothing"),
        (whole(200, {"predictions": [1]}), "one of the known dialects, but it is {'predictions': [1]}"),
        (whole(200, b"OK", "text/plain"), "must be JSON"),
    ],
)
def test_what_is_no_endpoint_is_said(answer, part):
    with pytest.raises(EndpointError) as caught:
        found_out(answer)
    assert part in str(caught.value)


def test_a_container_that_does_not_stream_answers_as_one_piece():
    body = json.dumps([{"generated_text": " 4"}]).encode()
    _, _, (delta, end) = found_out(stream_of(body), dialect="tgi")
    assert (delta, end.finish) == (Delta(" 4"), Finish.UNKNOWN)


@pytest.mark.parametrize(
    "no",
    [
        error_of("UnknownOperationException", {"Message": "no such route"}, 404),
        error_of("ValidationError", {"Message": "Response streaming is not supported for this endpoint"}),
        whole(405, {"message": "no"}),
    ],
)
def test_where_streams_are_refused_the_whole_answer_is_asked_for(no):
    _, server, (delta, end) = found_out(no, whole(200, {"generated_text": " 4"}), dialect="lmi")
    assert (delta.text, end.remote) == (" 4", {"dialect": "lmi", "streamed": False})
    assert [path.rpartition("/")[2] for path, _ in server.asked[1:]] == ["invocations-response-stream", "invocations"]
    assert [body["stream"] for _, body in server.asked[1:]] == [True, False]


def test_what_is_refused_by_name_is_left_out_where_it_can_be():
    no = refused(
        {"code": 400, "message": "The following `model_kwargs` are not used by the model: ['seed', 'return_full_text']"}
    )
    _, server, (_, end) = found_out(no, stream_of(b'[{"generated_text": " 4"}]'), dialect="hf")
    assert end.remote == {"dialect": "hf", "unsent": ["return_full_text", "seed"]}
    first, second = (body["parameters"] for _, body in server.asked[1:])
    assert first.keys() - second.keys() == {"return_full_text", "seed"}
    no = refused({"error": "top_p is not known"})
    with pytest.raises(RefusedError, match="top_p is not known"):  # which is on
        found_out(no, dialect="hf")


def test_a_stop_text_ends_the_answer_whatever_the_container_does():
    records = [json.dumps({"outputs": [text]}).encode() + b"\n" for text in ("a E", "ND b", " c")]
    _, _, found = found_out(stream_of(*records), sampling=Sampling(stop=("END", "\n")), dialect="workshop")
    assert "".join(event.text for event in found[:-1]) == "a "
    assert (found[-1].finish, found[-1].stopped_by) == (Finish.STOP, "END")
    last = b'data:{"token":{"id":1,"text":"END","logprob":-0.5,"special":false},"generated_text":"a END","details":{"finish_reason":"stop_sequence","generated_tokens":2,"input_length":5}}\n\n'
    first = (
        b'data:{"token":{"id":1,"text":"a ","logprob":-0.5,"special":false},"generated_text":null,"details":null}\n\n'
    )
    _, _, found = found_out(stream_of(first, last), sampling=Sampling(stop=("END",)), dialect="tgi")
    assert [event.text for event in found[:-1]] == ["a "]
    assert (found[-1].usage, found[-1].stopped_by) == (Usage(5, 0, 2), "END")


def test_half_a_stop_text_at_the_end_is_text():
    records = [json.dumps({"outputs": [text]}).encode() + b"\n" for text in ("a", " EN")]
    _, _, found = found_out(stream_of(*records), sampling=Sampling(stop=("END",)), dialect="workshop")
    assert "".join(event.text for event in found[:-1]) == "a EN"


def test_a_stream_without_end_is_ended():
    line = json.dumps({"outputs": ["x" * 1000]}).encode() + b"\n"
    with pytest.raises(EndpointError, match="goes on and on: .* characters have come"):
        found_out(stream_of(*[line] * 200), sampling=Sampling(max_tokens=10), dialect="workshop")


def test_an_exception_in_a_stream_is_told_with_its_code():
    broken = eventstream.exception("ModelStreamError", {"Message": "it broke", "ErrorCode": "StreamBroken"})
    with pytest.raises(EndpointError, match="broke off with ModelStreamError, StreamBroken: it broke"):
        found_out(stream_of(b'{"outputs": ["a"]}\n', exception=broken), dialect="workshop")
    error = eventstream.encode(
        {":message-type": "error", ":error-code": "InternalError", ":error-message": "oops"}, b""
    )
    with pytest.raises(EndpointError, match="broke off with InternalError: oops"):
        found_out(stream_of(exception=error), dialect="workshop")


@pytest.mark.parametrize("dialect", ["chat", "tgi", "lmi"])
def test_an_answer_of_nothing_is_none(dialect):
    prompt = CHAT if dialect == "chat" else TEXT
    with pytest.raises(EndpointError, match="answered with nothing"):
        found_out(stream_of(), prompt=prompt, dialect=dialect)


def test_an_inference_component_goes_in_a_header():
    async def scenario():
        async with serving(NO_HEALTH, stream_of(b'{"outputs": ["a"]}\n')) as server:
            engine = SageMaker(server.url, "my end/comp", dialect="workshop")
            await engine.start()
            await all_of(engine.stream(TEXT, Sampling(), Extras()))
            await engine.close()
            return server

    server = asyncio.run(scenario())
    assert "x-amzn-sagemaker-inference-component: comp" in server.heads[1].lower()
    assert server.asked[1][0] == "/endpoints/my%20end/invocations-response-stream"


def test_a_probe_without_an_answer_ends():
    async def scenario():
        async with strange([NO_HEALTH], [Hang()]) as url:
            with pytest.raises(EndpointError, match="did not answer a request for one token within 0.2 s"):
                await SageMaker(url, "e", timeouts=Timeouts(first=0.2)).start()

    asyncio.run(scenario())


def test_a_connection_that_was_closed_meanwhile_is_no_answer():
    async def scenario():
        heads = []

        async def handle(reader, writer):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                heads.append(head.split()[1])
                if len(heads) == 2:
                    break
                body = b'{"outputs": ["a"]}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                if len(heads) == 3:
                    break
            writer.close()
            await writer.wait_closed()

        listening = await asyncio.start_server(handle, "127.0.0.1", 0)
        engine = SageMaker(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "e", dialect="workshop")
        await engine.start()
        found = await all_of(engine.stream(TEXT, Sampling(), Extras()))
        await engine.close()
        listening.close()
        return found, heads

    found, heads = asyncio.run(scenario())
    assert found[0].text == "a"
    assert [head.rpartition("/")[2] for head in heads] == ["health", *["invocations-response-stream"] * 2]
