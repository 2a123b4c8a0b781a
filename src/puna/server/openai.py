"""The OpenAI API over HTTP: completions, models, tokens. Knows its routes and errors; what is said is the dialects' business.

Routes: https://platform.openai.com/docs/api-reference; SageMaker's ``/endpoints/NAME/openai/v1``:
https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-openai-compatible.html; ``/tokenize`` and
``/detokenize`` as vLLM has them. All read 2026-11-22.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NoReturn

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Scope

from puna.errors import ContextWindowError, EngineLoadingError, InputError, PunaError
from puna.messages import Dialog
from puna.server import aws
from puna.server.answers import Answer, value_of
from puna.server.container import retry_after
from puna.server.exchange import exchange_of, read_body
from puna.server.faults import ContainerFault
from puna.server.headers import ServiceError, check_name, no_components
from puna.server.invocations import MAX_BODY, Call, Service
from puna.server.upstream import told
from puna.turn import Ask
from puna.wire import chat, openai, reading
from puna.wire.dialect import Request

MANY = 4000
"""Tokens from which it takes a thread to write them down."""

_TOKENIZE = {"model", "prompt", "messages", "return_token_strs", "continue_final_message"}


class ModelNotFoundError(InputError):
    """A request names a model that is not served here."""

    status = 404


class Completions:
    """``/v1/chat/completions`` and ``/v1/completions``. name: of the dialect. scoped: below an endpoint's name."""

    kind = "openai"
    streams = False
    timed = False

    def __init__(self, name: str, *, scoped: bool = False) -> None:
        self.name = name
        self.scoped = scoped

    def check(self, scope: Scope, service: Service) -> None:
        """The endpoint's name, where the route has one."""
        if self.scoped:
            name = scope["path_params"]["name"]
            check_name(name, service.named(name))

    def attributes(self, scope: Scope) -> Mapping[str, str]:  # noqa: ARG002
        """None: the header is SageMaker's."""
        return {}

    def dialect(self, service: Service) -> str:  # noqa: ARG002
        """The route's own."""
        return self.name

    def accept(self, service: Service, request: Request) -> None:
        """A model that is served here; below an endpoint's name any, as SageMaker passes it on without a look."""
        if not self.scoped:
            _check_model(service, request.settings["model"])

    def chunked(self, answer: Answer) -> bool:
        """As the answer is."""
        return answer.streamed

    def head(self, call: Call, answer: Answer) -> dict[str, str]:  # noqa: ARG002
        """The media type, and the id under the name that the openai SDK reads."""
        cache = {"Cache-Control": "no-cache"} if answer.streamed else {}
        return {"Content-Type": answer.media_type, "x-request-id": answer.facts.id, **cache}

    def part(self, record: bytes) -> bytes:
        """The record itself."""
        return record

    def broken(self, call: Call, error: Exception, sentence: str) -> bytes:
        """A record that SDKs raise."""
        return openai.SSE.encode(call.dialect.broken(_status(error), sentence))

    def refusal(self, call: Call, error: Exception, sentence: str, headers: Mapping[str, str]) -> Response:
        """The error as the API has it."""
        if isinstance(error, ContainerFault):
            return Response(error.container_body, error.container_status, dict(headers), "application/json")
        more = {"x-request-id": call.exchange.id, **retry_after(error), **headers}
        return error_response(_status(error), sentence, more, _code(error))


def error_response(
    status: int, sentence: str, headers: Mapping[str, str] | None = None, code: str | None = None
) -> Response:
    """An error of the OpenAI API. code: one that the status does not imply."""
    return Response(aws.to_json(openai.error(status, sentence, code)), status, dict(headers or {}), "application/json")


def _status(error: Exception) -> int:
    if isinstance(error, EngineLoadingError):
        return 503
    return error.status if isinstance(error, PunaError) else 500


def _code(error: Exception) -> str | None:
    if isinstance(error, ContextWindowError):
        return "context_length_exceeded"
    return "model_not_found" if isinstance(error, ModelNotFoundError) else None


def _models(service: Service) -> tuple[str, ...]:
    return tuple(dict.fromkeys((service.endpoint, service.speaker.info.model)))


class Models:
    """``/v1/models``, and what else there is to ask about the model."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def every(self, request: HttpRequest) -> Response:  # noqa: ARG002
        """``GET /v1/models``."""
        return _json({"object": "list", "data": [self._model(name) for name in _models(self.service)]})

    async def one(self, request: HttpRequest) -> Response:
        """``GET /v1/models/ID``."""
        name = request.path_params["id"]
        if name not in _models(self.service):
            served = ", ".join(_models(self.service))
            sentence = f"the model {name[:80]!r} is not served here; served: {served}"
            return error_response(404, sentence, code="model_not_found")
        return _json(self._model(name))

    async def no_components(self, request: HttpRequest) -> Response:
        """``POST /endpoints/NAME/inference-components/...``: an endpoint without any."""
        name = request.path_params["name"]
        sentence = no_components(name)
        try:
            check_name(name, self.service.named(name))
        except ServiceError as error:
            sentence = str(error)
        return error_response(400, sentence)

    async def tokenize(self, request: HttpRequest) -> Response:
        """``POST /tokenize``: the exact ids of a prompt, as the model would get them."""
        exchange_of(request.scope).route = "openai"
        try:
            body = value_of(await read_body(request.scope, request.receive, MAX_BODY))
            ids = await self._ids(body)
            spelled = await self._spelled(ids, _wanted_texts(body))
        except PunaError as error:
            return _refused(error)
        context = self.service.speaker.info.context or None

        def told() -> Response:
            texts = None if spelled is None else [openai.spelled(data) for data in spelled]
            return _json({"count": len(ids), "max_model_len": context, "tokens": list(ids), "token_strs": texts})

        # A long one in a thread, so that nobody's stream stands still for it.
        return told() if len(ids) < MANY else await asyncio.to_thread(told)

    async def _spelled(self, ids: Sequence[int], wanted: bool | None) -> list[bytes] | None:
        """What the tokens spell; None where that is not wanted, or not known and nobody insists."""
        if wanted is False:
            return None
        try:
            return await self.service.speaker.spelled(ids)
        except InputError:
            if wanted:
                raise
            return None

    async def detokenize(self, request: HttpRequest) -> Response:
        """``POST /detokenize``: the text of token ids; a control token is its name."""
        exchange_of(request.scope).route = "openai"
        try:
            body = value_of(await read_body(request.scope, request.receive, MAX_BODY))
            spelled = await self.service.speaker.spelled(_tokens(self.service, body))
        except PunaError as error:
            return _refused(error)
        return _json({"prompt": b"".join(spelled).decode("utf-8", "replace")})

    async def _ids(self, body: object) -> tuple[int, ...]:
        if not isinstance(body, dict):
            _refuse_body(f"not {reading.kind(body)}")
        if unknown := sorted(map(str, body.keys() - _TOKENIZE)):
            _refuse_body(f"but it has {unknown[0]!r:.80} too")
        if ("prompt" in body) == ("messages" in body):
            _refuse_body("but both came" if "prompt" in body else "but neither came")
        _check_model(self.service, body.get("model") or "")
        prompt = _dialog(body["messages"]) if "messages" in body else body["prompt"]
        if not isinstance(prompt, str | Dialog) or not prompt:
            _refuse_body(f"and it must not be {'empty' if prompt == '' else reading.kind(prompt)}")
        if isinstance(prompt, str):
            reading.check_text("prompt", prompt)
        # A window of its own: what does not fit may still be counted.
        return (await self.service.speaker.encoded(Ask(prompt, continues=_continues(body)))).ids

    def _model(self, name: str) -> dict[str, object]:
        info = self.service.speaker.info
        return {"id": name, "object": "model", "created": 0, "owned_by": "puna", "max_model_len": info.context or None}


def _refused(error: Exception) -> Response:
    error = told(error)
    return error_response(_status(error), str(error), retry_after(error), _code(error))


def _tokens(service: Service, body: object) -> list[int]:
    """The ids of a request to ``/detokenize``."""
    shape = 'the body must be a JSON object with "tokens", a list of token ids'
    if not isinstance(body, dict) or "tokens" not in body:
        raise InputError(f"{shape}, not {reading.kind(body)}" if not isinstance(body, dict) else shape)
    if unknown := sorted(map(str, body.keys() - {"model", "tokens"})):
        raise InputError(f"{shape}, but it has {unknown[0]!r:.80} too")
    _check_model(service, body.get("model") or "")
    ids = body["tokens"]
    if not isinstance(ids, list) or any(type(token) is not int for token in ids):
        raise InputError(f"{shape}, and tokens must be whole numbers, not {str(ids)[:80]}")
    return ids


def _check_model(service: Service, name: object) -> None:
    known = _models(service)
    if name not in ("", *known):
        raise ModelNotFoundError(f"the model {str(name)[:80]!r} is not served here; served: {', '.join(known)}")


def _wanted_texts(body: object) -> bool | None:
    """Whether the tokens' texts are wanted; None where a request does not say."""
    wanted = body.get("return_token_strs") if isinstance(body, dict) else None
    if not isinstance(wanted, bool | None):
        raise InputError(f"return_token_strs must be true or false, not {reading.kind(wanted)}")
    return wanted


def _continues(body: Mapping[str, object]) -> bool:
    """Whether the last message is an answer that has begun, as vLLM has it."""
    wanted = body.get("continue_final_message", False)
    if not isinstance(wanted, bool):
        raise InputError(f"continue_final_message must be true or false, not {reading.kind(wanted)}")
    if wanted and "messages" not in body:
        _refuse_body('and continue_final_message is for "messages"')
    return wanted


def _dialog(given: object) -> Dialog:
    return chat.dialog_of(given)[0]


def _refuse_body(came: str) -> NoReturn:
    raise InputError(f'the body must be a JSON object with either "prompt" (text) or "messages" (a list), {came}')


def _json(value: object) -> Response:
    return Response(aws.to_json(value), media_type="application/json")
