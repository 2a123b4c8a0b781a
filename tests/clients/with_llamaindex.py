"""llama-index-llms-sagemaker-endpoint: SageMakerLLM with its default handler (dialect hf only) and with one of a user's own.

python with_llamaindex.py URL ENDPOINT [DIALECT]

The default handler reads ``[{"generated_text": PROMPT+TEXT}]``. Streamed it takes each part for such a list, and cuts off by
characters what is around the text: only JSON without blanks and without a line break at its end passes.
"""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return"

import json
from importlib.metadata import version
from typing import Any

import asking
from botocore.exceptions import ClientError
from llama_index.core.llms import ChatMessage
from llama_index.llms.sagemaker_endpoint import SageMakerLLM
from llama_index.llms.sagemaker_endpoint.utils import BaseIOHandler


class Handler(BaseIOHandler):
    """As a user writes one for a container that answers the new text alone. A part of a stream is one record or several."""

    content_type: str = "application/json"
    accept: str = "application/json"
    kind: str

    def serialize_input(self, request: str, model_kwargs: dict[str, Any]) -> bytes:
        return asking.payload(self.kind, text=request, **model_kwargs)

    def deserialize_output(self, response: Any) -> str:
        return asking.text_of(json.loads(response.read()))

    def deserialize_streaming_output(self, response: bytes) -> str:
        return "".join(asking.texts_of_parts([response]))

    def remove_prefix(self, response: str, prompt: str) -> str:
        return response


def calls(llm: Any, what: str, *, several: bool, **streaming: bool) -> None:
    asking.good(f"complete {what}", llm.complete(asking.QUESTION).text)
    pieces = [answer.delta for answer in llm.stream_complete(asking.QUESTION, **streaming)]
    asking.good(f"stream_complete {what}", pieces, several=several)
    messages = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=asking.QUESTION)]
    asking.good(f"chat {what}", llm.chat(messages).message.content)
    pieces = [answer.delta for answer in llm.stream_chat(messages, **streaming)]
    asking.good(f"stream_chat {what}", pieces, several=several)
    try:
        llm.complete(asking.QUESTION, top_p=asking.TOO_MUCH)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        asking.refused(f"wrong top_p {what}", error, code, must=code == "ModelError")
    else:
        asking.not_refused(f"wrong top_p {what}")


def main() -> None:
    _, endpoint, dialect = asking.arguments()
    asking.note(f"llama-index-llms-sagemaker-endpoint {version('llama-index-llms-sagemaker-endpoint')}")
    where = {"endpoint_name": endpoint, "aws_region_name": "us-east-1"}
    if dialect == "hf":
        calls(SageMakerLLM(**where, model_kwargs={"max_new_tokens": 32}), "default handler", several=False)
    else:
        for kind in asking.KINDS[dialect]:
            llm = SageMakerLLM(**where, content_handler=Handler(kind=kind))
            calls(llm, f"{kind}, own handler", several=dialect != "jumpstart", stream=True)


if __name__ == "__main__":
    main()
