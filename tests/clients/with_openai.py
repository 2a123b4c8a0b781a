"""openai: chat and completions, whole and streamed, on the routes of an endpoint and of a plain container.

python with_openai.py URL ENDPOINT
"""

# mypy: disable-error-code="import-not-found"

import asyncio
import base64
from typing import Any

import asking
import openai

TOKEN = "sagemaker-api-key-" + base64.b64encode(
    b"sagemaker.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Expires=43200&X-Amz-Signature=00&Version=1"
).decode("ascii")
"""A bearer token as sagemaker-core makes it; the real one is signed."""


def chat(client: openai.OpenAI, model: str, what: str) -> None:
    """The calls of chat.completions."""
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": asking.QUESTION}]
    whole = client.chat.completions.create(model=model, messages=messages, max_tokens=32, temperature=0)
    if whole.usage is None or not whole.usage.completion_tokens:
        asking.failed(f"{what} chat.completions.create", "no usage")
    asking.good(f"{what} chat.completions.create", whole.choices[0].message.content or "")
    streamed = client.chat.completions.create(
        model=model,
        messages=messages,
        max_completion_tokens=32,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(streamed)
    if not (chunks[-1].usage and chunks[-1].usage.completion_tokens):
        asking.failed(f"{what} chat.completions.create(stream=True)", "the usage that was asked for did not come")
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    asking.good(f"{what} chat.completions.create(stream=True)", pieces)
    with client.chat.completions.stream(model=model, messages=messages, max_tokens=32) as events:
        pieces = [event.delta for event in events if event.type == "content.delta"]
    asking.good(f"{what} chat.completions.stream", pieces)
    try:
        client.chat.completions.create(model=model, messages=messages, top_p=asking.TOO_MUCH)
    except openai.APIStatusError as error:
        asking.refused(f"{what} wrong top_p", error, error.status_code, must=error.status_code in {400, 422})
    else:
        asking.not_refused(f"{what} wrong top_p")


def completions(client: openai.OpenAI, model: str, what: str) -> None:
    """The calls of completions, and the list of models."""
    whole = client.completions.create(model=model, prompt=asking.PROMPT, max_tokens=32, temperature=0)
    asking.good(f"{what} completions.create", whole.choices[0].text)
    streamed = client.completions.create(model=model, prompt=asking.PROMPT, max_tokens=32, stream=True)
    asking.good(
        f"{what} completions.create(stream=True)", [chunk.choices[0].text for chunk in streamed if chunk.choices]
    )
    asking.good(f"{what} models.list", ", ".join(entry.id for entry in client.models.list()))


async def asynchronous(base: str, model: str) -> None:
    """The other client of the same package."""
    async with openai.AsyncOpenAI(base_url=base, api_key=TOKEN) as client:
        messages: Any = [{"role": "user", "content": asking.QUESTION}]
        streamed = await client.chat.completions.create(model=model, messages=messages, max_tokens=32, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in streamed if chunk.choices]
        asking.good("AsyncOpenAI chat.completions.create(stream=True)", pieces)


def main() -> None:
    url, endpoint, _ = asking.arguments()
    asking.note(f"openai {openai.__version__}")
    route = f"{url}/endpoints/{endpoint}/openai/v1"
    for base, model, what in ((route, "", "endpoint's route,"), (f"{url}/v1", endpoint, "container's route,")):
        with openai.OpenAI(base_url=base, api_key=TOKEN) as client:
            chat(client, model, what)
            if base != route:
                completions(client, model, what)
    asyncio.run(asynchronous(route, endpoint))
    with openai.OpenAI(base_url=f"{url}/endpoints/{asking.NOBODY}/openai/v1", api_key=TOKEN) as client:
        try:
            client.chat.completions.create(model="", messages=[{"role": "user", "content": "Hi"}])
        except openai.APIStatusError as error:
            asking.refused("no such endpoint", error, error.status_code, must=400 <= error.status_code < 500)
        else:
            asking.not_refused("no such endpoint")


if __name__ == "__main__":
    main()
