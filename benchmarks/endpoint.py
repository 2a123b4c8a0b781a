"""What does the endpoint cost? boto3 through puna against the engine's own HTTP server called directly, in one run.

Method: one engine process, the one that ``puna serve`` would start, with the endpoint in front of it in a process of its
own. In each round the same prompts and seeds go first one way, then the other (the order turns round by round), with 1
stream and with 8 at a time. direct: http.client reads llama.cpp's own ``/completion`` stream, prompts as token ids. endpoint:
boto3's invoke_endpoint_with_response_stream, prompts as hand-written Llama 2 text, so parsing, rendering, tokenising and
framing are in. Ratio: tokens/s through the endpoint over tokens/s direct, the median of the rounds' ratios. Added time to first
token: the difference of the medians, measured with one stream and cached prompts, so that prefill does not hide it.
Run: python benchmarks/endpoint.py [--rounds N] [--tokens N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import boto3
from botocore.config import Config

SERVER = """
import asyncio, json, sys
from puna import config
from puna.turn import Ask
from puna.server.app import create_app
from puna.server.listen import address_of, bind, listening, run

async def main():
    wanted = config.settings({"slots": 8, "context": 2048, "port": 0})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    prompts = json.loads(sys.stdin.readline())
    ids = [(await spine.prepare(Ask(prompt))).prompt.ids for prompt in prompts]
    with bind("127.0.0.1", 0) as bound:
        async with listening(create_app(spine, "bench"), bound, print):
            print(json.dumps({"url": address_of(bound), "engine": spine.engine.address,
                              "key": spine.engine.http.headers["Authorization"], "ids": ids}), flush=True)
            await asyncio.to_thread(sys.stdin.read)
            await spine.engine.close()

run(main())
"""

PROMPTS = [f"<s>[INST] Tell me a long story about llama number {n} in the mountains. [/INST]" for n in range(8)]

Count = Callable[[], int]
Stream = Callable[[int, int], tuple[float, Count]]
"""(prompt, tokens) -> (seconds to the first token, how many tokens it was, asked when no clock runs)."""


def direct(address: dict[str, Any]) -> Stream:
    """llama.cpp's own HTTP."""
    parts = urlsplit(address["engine"])

    def stream(n: int, tokens: int) -> tuple[float, Count]:
        body = {
            "prompt": address["ids"][n], "n_predict": tokens, "temperature": 1.0, "top_k": 50, "top_p": 0.9, "min_p": 0,
            "samplers": ["temperature", "top_k", "top_p", "min_p"], "seed": n, "stream": True, "ignore_eos": False,
            "return_tokens": True,
        }  # fmt: skip
        began = time.perf_counter()
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
        headers = {"Content-Type": "application/json", "Authorization": address["key"]}
        connection.request("POST", "/completion", json.dumps(body), headers)
        answer = connection.getresponse()
        first, made = 0.0, 0
        for line in answer:
            if line.startswith(b"data: "):
                said = json.loads(line[6:])
                first = first or time.perf_counter() - began
                made = said["tokens_predicted"]
        connection.close()
        return first, lambda: made

    return stream


def through_boto3(address: dict[str, Any]) -> Stream:
    """The endpoint, as any AWS program calls it."""
    client = boto3.client(
        "sagemaker-runtime", endpoint_url=address["url"], region_name="us-east-1", aws_access_key_id="AKIDBENCH",
        aws_secret_access_key="none", config=Config(max_pool_connections=16),
    )  # fmt: skip

    def stream(n: int, tokens: int) -> tuple[float, Count]:
        body = {"prompt": PROMPTS[n], "max_tokens_to_sample": tokens, "temperature": 1.0, "top_p": 0.9, "seed": n}
        began = time.perf_counter()
        answer = client.invoke_endpoint_with_response_stream(EndpointName="bench", Body=json.dumps(body))
        first = 0.0
        for event in answer["Body"]:
            json.loads(event["PayloadPart"]["Bytes"])
            first = first or time.perf_counter() - began
        receipt = address["url"] + answer["ResponseMetadata"]["HTTPHeaders"]["x-puna-receipt"]
        return first, lambda: int(json.loads(urlopen(receipt).read())["usage"]["output"])

    return stream


def speed(stream: Stream, streams: int, tokens: int) -> float:
    """Tokens per second of so many streams at a time."""
    with ThreadPoolExecutor(streams) as pool:
        began = time.perf_counter()
        results = list(pool.map(lambda n: stream(n, tokens), range(streams)))
        took = time.perf_counter() - began
    return sum(count() for _, count in results) / took


def compare(ways: dict[str, Stream], rounds: int, tokens: int) -> dict[str, Any]:
    """Ratios of each number of streams, and the added time to first token."""
    found: dict[str, Any] = {}
    for streams in (1, 8):
        ratios, speeds = [], {name: list[float]() for name in ways}
        for n in range(rounds + 1):
            order = list(ways) if n % 2 else list(reversed(ways))
            once = {name: speed(ways[name], streams, tokens) for name in order}
            if n:  # the first round warms caches and threads
                ratios.append(once["endpoint"] / once["direct"])
                for name, value in once.items():
                    speeds[name].append(value)
        found[f"streams_{streams}"] = {
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(ratio, 3) for ratio in ratios],
            **{f"{name}_tokens_per_s": round(statistics.median(values), 1) for name, values in speeds.items()},
        }
    firsts = {name: list[float]() for name in ways}
    for n in range(4 * rounds):
        for name in list(ways) if n % 2 else list(reversed(ways)):
            firsts[name].append(ways[name](0, 2)[0])
    medians = {name: statistics.median(values) * 1000 for name, values in firsts.items()}
    found["first_token_ms"] = {
        **{name: round(value, 1) for name, value in medians.items()},
        "added": round(medians["endpoint"] - medians["direct"], 1),
    }
    return found


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64)
    args = parser.parse_args()
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          cwd=Path(__file__).parents[1]) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(PROMPTS) + "\n")
        server.stdin.flush()
        address = json.loads(server.stdout.readline())
        ways = {"direct": direct(address), "endpoint": through_boto3(address)}
        found = compare(ways, args.rounds, args.tokens)
        server.stdin.close()
    for name, figures in found.items():
        print(f"{name:<16} {figures}")
    print(
        json.dumps(
            {"benchmark": "endpoint", "rounds": args.rounds, "tokens": args.tokens, "cores": os.cpu_count(), **found}
        )
    )


if __name__ == "__main__":
    main()
