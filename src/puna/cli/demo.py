"""The workshop's lessons: hand-written Llama 2 prompts, sent by boto3 to a local endpoint over the real AWS protocol.

Example: puna demo --model llama-2-7b-chat
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx

from puna import config
from puna.cli.aws_environment import DUMMY_KEYS
from puna.cli.endpoint import Endpoint, with_endpoint
from puna.cli.options import ENGINE, add_settings
from puna.cli.scenarios import MAX_TOKENS, SCENARIOS, Call, Scenario, measured, seeds_of
from puna.cli.wrapping import Wrapping
from puna.errors import EngineError, InputError
from puna.wire.answer import Answer
from puna.wire.workshop import DIALECT as WORKSHOP

BOLD, DIM, CYAN, PLAIN = "\033[1m", "\033[2m", "\033[36m", "\033[0m"
SEED = 1


@dataclass(slots=True)
class Tally:
    """What the whole demo cost. began: the clock when it started."""

    began: float
    answers: int = 0
    tokens: int = 0
    first_token: float | None = None


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("--seed", type=int, default=SEED, help=f"another seed gives other answers (default {SEED})")
    add_settings(parser, ENGINE)


def run(args: argparse.Namespace) -> int:
    """Run every scenario; 0 when all were answered."""
    began = time.monotonic()
    client = _boto3()
    wanted = replace(config.settings(vars(args), file=args.config), port=0)

    async def demo(endpoint: Endpoint, stop: asyncio.Event) -> int:
        print(f"{endpoint.ready_line}\n")
        lessons = asyncio.create_task(asyncio.to_thread(_lessons, client, endpoint, args.seed, began))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({lessons, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not lessons.done():
            # The stream that the thread reads ends with the engine.
            await endpoint.spine.engine.close()
            await asyncio.gather(lessons, return_exceptions=True)  # it fails, since its stream was cut
            raise KeyboardInterrupt
        return lessons.result()

    return with_endpoint(wanted, demo, log=lambda _: None)


def _boto3() -> Any:
    try:
        import boto3
    except ImportError as error:
        raise InputError("the demo speaks through boto3, which is not installed: pip install 'puna[aws]'") from error
    return boto3


def _lessons(boto3: Any, endpoint: Endpoint, seed: int, began: float) -> int:
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id=DUMMY_KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=DUMMY_KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    tally = Tally(began)
    for number, scenario in enumerate(SCENARIOS, start=1):
        print(_style(BOLD, f"{number:>2}  {scenario.heading}"))
        print(_filled(f"{scenario.teaches} {_rate(scenario, endpoint.spine.info.model)}"))
        for n, (call, call_seed) in enumerate(zip(scenario.calls, seeds_of(scenario, seed), strict=True)):
            if n == 0 or call.prompt != scenario.calls[n - 1].prompt:
                print(_quoted(call.prompt))
            _answer(client, endpoint, call, call_seed, tally)
        print()
    first = f"; first token {tally.first_token:.1f} s after the start" if tally.first_token else ""
    print(
        f"{len(SCENARIOS)} scenarios, {tally.answers} answers, {tally.tokens} tokens from "
        f"{endpoint.spine.info.model}, through boto3 {boto3.__version__}{first}"
    )
    return 0


def _answer(client: Any, endpoint: Endpoint, call: Call, seed: int, tally: Tally) -> None:
    if call.label:
        print(_style(DIM, f"    - {call.label}"))
    body = {"prompt": call.prompt, "max_tokens_to_sample": MAX_TOKENS, "seed": seed, **call.sampling}
    arguments = {"EndpointName": endpoint.name, "Body": json.dumps(body), "ContentType": "application/json"}
    out = Wrapping(sys.stdout.write, _width(), indent=4)
    sent = time.monotonic()
    first: float | None = None
    response, pieces = _whole(client, arguments) if call.whole else _streamed(client, arguments)
    for piece in pieces:
        first = first or time.monotonic()
        out.write(piece)
        sys.stdout.flush()
    out.close()
    receipt = _receipt(endpoint, response)
    tally.answers += 1
    tally.tokens += receipt["usage"]["output"]
    tally.first_token = tally.first_token or (first - tally.began if first else None)
    print(_style(DIM, _filled(_cost(receipt, None if call.whole or first is None else first - sent))))


def _streamed(client: Any, arguments: dict[str, str]) -> tuple[Any, Iterator[str]]:
    response = client.invoke_endpoint_with_response_stream(**arguments)

    def pieces() -> Iterator[str]:
        answer = Answer((WORKSHOP.hear,))
        for event in response["Body"]:
            yield from (delta.text for delta in answer.feed(event["PayloadPart"]["Bytes"]))
        yield from (delta.text for delta in answer.close())

    return response, pieces()


def _whole(client: Any, arguments: dict[str, str]) -> tuple[Any, Iterator[str]]:
    response = client.invoke_endpoint(**arguments)
    return response, iter(json.loads(response["Body"].read())["outputs"])


def _receipt(endpoint: Endpoint, response: Any) -> Any:
    path = response["ResponseMetadata"]["HTTPHeaders"]["x-puna-receipt"]
    answer = httpx.get(endpoint.url + path, trust_env=False)
    if answer.status_code != httpx.codes.OK:
        raise EngineError(f"no receipt at {path}: the endpoint answered {answer.status_code}")
    return answer.json()


def _cost(receipt: Any, first: float | None) -> str:
    usage, decode, prompt = receipt["usage"], receipt["seconds"]["decode"], receipt["prompt"]
    speed = f", {(usage['output'] - 1) / decode:.0f} tokens/s" if usage["output"] > 1 and decode else ""
    wait = f", first after {first * 1000:.0f} ms" if first is not None else ", in one piece"
    how = f"{prompt['source']} → {prompt['format']}" if prompt["written"] == "translated" else prompt["written"]
    count = len(prompt["findings"])
    slips = f", {count} {'slip' if count == 1 else 'slips'} mended" if count else ""
    return f"{usage['prompt']} tokens in, {usage['output']} out{speed}{wait} · prompt {how}{slips}"


def _rate(scenario: Scenario, model: str) -> str:
    rates = measured()
    if model != rates.model:
        return f"(How often {model} shows it was not measured.)"
    return f"({model} shows it on {rates.shown[scenario.key]} of {rates.seeds} seeds.)"


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 100)


def _style(style: str, text: str) -> str:
    return f"{style}{text}{PLAIN}" if sys.stdout.isatty() else text


def _filled(text: str) -> str:
    return textwrap.fill(text, _width(), initial_indent="    ", subsequent_indent="    ")


def _quoted(prompt: str) -> str:
    """The prompt as it was written, behind a bar; long lines are wrapped."""
    lines = [piece for line in prompt.rstrip("\n").split("\n") for piece in textwrap.wrap(line, _width() - 6) or [""]]
    return "\n".join(_style(CYAN, f"    │ {line}") for line in lines)
