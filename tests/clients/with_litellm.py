"""litellm: its providers sagemaker/, sagemaker_chat/ and openai/, whole and streamed, also asynchronously.

python with_litellm.py URL ENDPOINT [DIALECT]

It reads no AWS_ENDPOINT_URL: ``sagemaker_base_url`` is the whole URL of a call, so a stream has another one.
"""

# mypy: disable-error-code="import-not-found"

import asyncio
import os
from importlib.metadata import version
from typing import Any

import asking
import openai

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": asking.QUESTION}]


def pieces(chunks: Any) -> list[str]:
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


async def asynchronous(litellm: Any, model: str, whole: dict[str, Any], stream: dict[str, Any]) -> None:
    answer = await litellm.acompletion(model=model, messages=MESSAGES, max_tokens=32, **whole)
    asking.good(f"acompletion {model}", answer.choices[0].message.content)
    streamed = await litellm.acompletion(model=model, messages=MESSAGES, max_tokens=32, stream=True, **stream)
    asking.good(f"acompletion {model}, stream", pieces([chunk async for chunk in streamed]))


def provider(litellm: Any, model: str, whole: dict[str, Any], stream: dict[str, Any]) -> None:
    """The same calls with one provider. whole, stream: where it is called."""
    sampling = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 32, "stop": ["\n\n"]}
    answer = litellm.completion(model=model, messages=MESSAGES, **sampling, **whole)
    asking.good(f"completion {model}", answer.choices[0].message.content)
    streamed = litellm.completion(model=model, messages=MESSAGES, stream=True, **sampling, **stream)
    asking.good(f"completion {model}, stream", pieces(streamed))
    asyncio.run(asynchronous(litellm, model, whole, stream))
    for how, where in {"": whole, ", stream": {"stream": True, **stream}}.items():
        try:
            list(litellm.completion(model=model, messages=MESSAGES, top_p=asking.TOO_MUCH, num_retries=0, **where))
        except openai.APIStatusError as error:  # which litellm's own exceptions are, too
            asking.refused(f"wrong top_p {model}{how}", error, error.status_code)
        else:
            asking.not_refused(f"wrong top_p {model}{how}")


def main() -> None:
    url, endpoint, dialect = asking.arguments()
    # A name with "llama-2" in it makes litellm look for a tokenizer on Hugging Face, for minutes where there is no network.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    asking.note(f"litellm {version('litellm')}")
    call = f"{url}/endpoints/{endpoint}/invocations"
    whole, stream = {"sagemaker_base_url": call}, {"sagemaker_base_url": f"{call}-response-stream"}
    kinds = asking.KINDS[dialect]
    if "inputs" in kinds:
        provider(litellm, f"sagemaker/{endpoint}", whole, stream)
    if "chat" in kinds:
        provider(litellm, f"sagemaker_chat/{endpoint}", whole, stream)
    if dialect == "auto":
        for base in (f"{url}/endpoints/{endpoint}/openai/v1", f"{url}/v1"):
            there = {"api_base": base, "api_key": "none"}
            provider(litellm, f"openai/{endpoint}", there, there)
        said = litellm.text_completion(
            model=f"text-completion-openai/{endpoint}", prompt=asking.PROMPT, max_tokens=32, **there
        )
        asking.good("text_completion text-completion-openai/", said.choices[0].text)


if __name__ == "__main__":
    main()
