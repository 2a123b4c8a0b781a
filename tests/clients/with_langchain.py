"""langchain-aws: SagemakerEndpoint and ChatSagemakerEndpoint, whole and streamed, with content handlers as a user writes them.

python with_langchain.py URL ENDPOINT [DIALECT]
"""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return"

import json
from importlib.metadata import version
from typing import Any

import asking
import boto3
from botocore.exceptions import ClientError
from langchain_aws.chat_models.sagemaker_endpoint import ChatModelContentHandler, ChatSagemakerEndpoint
from langchain_aws.llms import SagemakerEndpoint
from langchain_aws.llms.sagemaker_endpoint import LLMContentHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage


def text(output: Any) -> str:
    """A whole answer, which can be read, or one line of a stream, which may be a blank one of server-sent events."""
    if isinstance(output, bytes):
        return "".join(asking.texts_of_lines([output]))
    return asking.text_of(json.loads(output.read()))


class Prompts(LLMContentHandler):
    content_type = accepts = "application/json"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def transform_input(self, prompt: str, model_kwargs: dict[str, Any]) -> bytes:
        return asking.payload(self.kind, text=prompt, **model_kwargs)

    def transform_output(self, output: Any) -> str:
        return text(output)


class Messages(ChatModelContentHandler):
    content_type = accepts = "application/json"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def transform_input(self, prompt: list[dict[str, Any]], model_kwargs: dict[str, Any]) -> bytes:
        body = asking.body(self.kind, text=json.dumps(prompt), **model_kwargs)
        if "messages" in body:
            body["messages"] = prompt
        return json.dumps(body).encode()

    def transform_output(self, output: Any) -> AIMessage:
        return AIMessage(content=text(output))


def main() -> None:
    url, endpoint, dialect = asking.arguments()
    asking.note(f"langchain-aws {version('langchain-aws')}, langchain-core {version('langchain-core')}")
    several = dialect not in asking.AT_ONCE
    client = boto3.client("sagemaker-runtime", endpoint_url=url)
    for kind in asking.KINDS[dialect]:
        for how, where in {"environment": {}, "endpoint_url": {"endpoint_url": url}}.items():
            llm = SagemakerEndpoint(
                endpoint_name=endpoint, region_name="us-east-1", content_handler=Prompts(kind), **where
            )
            asking.good(f"SagemakerEndpoint.invoke {kind}, {how}", llm.invoke(asking.PROMPT))
            if several:  # its iterator of lines waits for ever where the last line has no end
                pieces = list(llm.stream(asking.PROMPT, stream=True))
                asking.good(f"SagemakerEndpoint.stream {kind}, {how}", pieces)
        messages = [SystemMessage("Be brief."), HumanMessage(asking.QUESTION)]
        for how, where in {"environment": {}, "client": {"client": client}}.items():
            chat = ChatSagemakerEndpoint(
                endpoint_name=endpoint, region_name="us-east-1", content_handler=Messages(kind), **where
            )
            asking.good(f"ChatSagemakerEndpoint.invoke {kind}, {how}", chat.invoke(messages).content)
            if several:
                chunks = [chunk.content for chunk in chat.stream(messages, stream=True)]
                asking.good(f"ChatSagemakerEndpoint.stream {kind}, {how}", chunks)
        try:
            llm.invoke(asking.PROMPT, top_p=asking.TOO_MUCH)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            asking.refused(f"wrong top_p {kind}", error, code, must=code == "ModelError")
        else:
            asking.not_refused(f"wrong top_p {kind}")


if __name__ == "__main__":
    main()
