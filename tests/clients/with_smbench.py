"""sm-endpoint-bmt: its program sm-bench, which streams only, with both of its types of request.

python with_smbench.py URL ENDPOINT
"""

# mypy: disable-error-code="import-not-found"

import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import asking

LENGTH, REQUESTS = 6, 4


def bench(url: str, endpoint: str, folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    beside = Path(sys.executable).with_name("sm-bench")
    program = str(beside) if beside.exists() else shutil.which("sm-bench")
    if program is None:
        raise asking.failed("sm-bench", "it is neither beside this interpreter nor on the path")
    return subprocess.run(
        [
            *(program, "--endpoint-name", endpoint, "--endpoint-url", url, "--region", "us-east-1", "--disable-tqdm"),
            *("--num-prompts", str(REQUESTS), "--max-concurrency", "2", "--random-input-len", "8"),
            *("--random-output-len", str(LENGTH), "--save-result", "--save-detailed"),
            *("--result-dir", str(folder), "--result-filename", "result.json", *more),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def main() -> None:
    url, endpoint, _ = asking.arguments("URL ENDPOINT")
    asking.note(f"sm-endpoint-bmt {version('sm-endpoint-bmt')}")
    for kind in ("openai", "openai-chat"):
        for more in ((), ("--no-include-usage",), ("--temperature", "0", "--top-p", "0.9", "--top-k", "40")):
            what = f"sm-bench --endpoint-type {kind} {' '.join(more)}"
            with tempfile.TemporaryDirectory() as name:
                done = bench(url, endpoint, Path(name), "--endpoint-type", kind, *more)
                if done.returncode:
                    asking.failed(what, done.stdout[-2000:] + done.stderr[-2000:])
                result = json.loads(Path(name, "result.json").read_text(encoding="utf-8"))
            if result["completed"] != REQUESTS:
                asking.failed(what, result["errors"])
            if "--no-include-usage" not in more and result["requests_without_usage"]:
                asking.failed(what, f"{result['requests_without_usage']} streams without the usage that was asked for")
            told = f"{result['total_output_tokens']} tokens, {result['finish_reasons']}"
            asking.good(f"{what} ({told})", result["generated_texts"], several=False)
    with tempfile.TemporaryDirectory() as name:
        done = bench(url, endpoint, Path(name), "--top-p", str(asking.TOO_MUCH))
    asking.refused("wrong top_p", RuntimeError("no request completed"), done.returncode, must=done.returncode == 1)


if __name__ == "__main__":
    main()
