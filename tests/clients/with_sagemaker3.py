"""The SageMaker SDK 3: Endpoint.invoke. Its own call that streams is broken in 3.27 (AttributeError in the client).

python with_sagemaker3.py URL ENDPOINT [DIALECT]
"""

# mypy: disable-error-code="import-not-found,import-untyped"

import json
import os
import urllib.request
from importlib.metadata import version
from typing import Any

import asking


def stream(endpoint: Any, kind: str) -> None:
    """Whatever it makes of a stream; what fails in the client, before anything of the stream was read, is only told."""
    what = f"Endpoint.invoke_with_response_stream {kind}"
    try:
        answer = endpoint.invoke_with_response_stream(
            body=asking.payload(kind, stream=True), content_type="application/json"
        )
        parts = [event["PayloadPart"]["Bytes"] for event in answer.body]
    except (AttributeError, TypeError) as error:
        asking.note(f"-- {what}: the client's own {type(error).__name__}: {error}")
    else:
        asking.good(what, asking.texts_of_parts(parts), several=False)


def bearer(url: str, name: str) -> None:
    """The token that it makes for the endpoint's OpenAI route, whose clients are other packages."""
    from sagemaker.core.token_generator import generate_token

    token = generate_token(region=os.environ["AWS_REGION"])
    request = urllib.request.Request(
        f"{url}/endpoints/{name}/openai/v1/chat/completions",
        asking.payload("chat"),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        asking.good("generate_token, OpenAI route", asking.text_of(json.load(answer)))


def main() -> None:
    url, name, dialect = asking.arguments()
    from botocore.exceptions import ClientError
    from sagemaker.core.resources import Endpoint

    asking.note(f"sagemaker {version('sagemaker')}, sagemaker-core {version('sagemaker-core')}")
    endpoint = Endpoint(endpoint_name=name)
    for kind in asking.KINDS[dialect]:
        answer = endpoint.invoke(body=asking.payload(kind), content_type="application/json", accept="application/json")
        asking.good(f"Endpoint.invoke {kind}", asking.text_of_bytes(answer.body.read()))
        stream(endpoint, kind)
        try:
            endpoint.invoke(body=asking.payload(kind, top_p=asking.TOO_MUCH), content_type="application/json")
        except ClientError as error:
            code = error.response["Error"]["Code"]
            asking.refused(f"wrong top_p {kind}", error, code, must=code == "ModelError")
        else:
            asking.not_refused(f"wrong top_p {kind}")
    if dialect == "auto":
        bearer(url, name)
    try:
        Endpoint(endpoint_name=asking.NOBODY).invoke(body=b"{}")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        asking.refused("no such endpoint", error, code, must=code == "ValidationError")
    else:
        asking.not_refused("no such endpoint")


if __name__ == "__main__":
    main()
