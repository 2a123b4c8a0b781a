"""The child process that holds llama.cpp. Knows its settings and nothing of prompts; ends when its stdin does.

A process of its own, because llama.cpp may abort: n_batch 0, a GGUF that lies, memory that runs out would take the
endpoint with them. Protocol: one JSON line of settings on stdin; one JSON line on stdout, ``{"address", "build"}`` or
``{"error"}``; then llama.cpp's own HTTP server on loopback until stdin closes, also when the parent is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from typing import Any

# Read by ggml when it is loaded; without it an abort runs gdb and prints a backtrace on stdout.
os.environ["GGML_NO_BACKTRACE"] = "1"


LARGEST_BATCH = 63


def parameters(settings: dict[str, Any]) -> Any:
    """llama.cpp's parameters. Reasons stand where a value is not its default (figures: 2 cores, SmolLM2-135M)."""
    import xllamacpp  # noqa: PLC0415  # after the environment is set, and only in this process

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.model_alias = {settings["name"]}
    # The KV cache is split evenly. A unified pool, when overcommitted, fails every stream in it.
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    params.kv_unified = False
    # A dropped client is noticed between two batches: 63 frees a slot in prefill after 0.4 s, 256 after 1.5 s and more; a stream
    # beside a long prefill stalls for one batch. It costs 7 % of prefill speed. Not 64: from there on flash attention on CPUs
    # takes another path for the tokens of one prompt in a batch, and log-probabilities move by 0.07 with what else is in it, so
    # that the same seed told another story beside others. Below, they are equal to the last digit, cached or not.
    params.n_batch = params.n_ubatch = max(LARGEST_BATCH, settings["slots"])  # it must hold a token of each slot
    # One stream is bound by memory, not by cores; batches and prefill gain from all of them.
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["batch_threads"]
    params.cache_ram_mib = 0  # default 8192: a host-side prompt cache that grows to 8 GiB
    params.verbosity = 1  # errors only, on stderr: the one place where the cause of a failed load is told
    params.endpoint_slots = True
    params.prefill_assistant = False
    params.ui = False
    params.slot_save_path = settings["folder"] + os.sep  # llama.cpp puts a file's name right behind it
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]  # its HTTP server always listens, and allows any origin
    return params


def main() -> None:
    """Load, report, serve until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the parent decides
    settings = json.loads(sys.stdin.readline())
    report = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever C++ prints is no report

    def tell(**said: str) -> None:
        report.write(json.dumps(said) + "\n")
        report.flush()

    try:
        import xllamacpp  # noqa: PLC0415

        server = xllamacpp.Server(parameters(settings))
        tell(address=server.listening_address, build=f"xllamacpp-{xllamacpp.__version__}")
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent has to hear of it
        try:
            tell(error=str(error))
        finally:  # also where nobody listens any more: llama.cpp's threads would keep the process alive
            os._exit(1)
    sys.stdin.read()
    shutil.rmtree(settings["folder"], ignore_errors=True)  # who made it may have been killed
    del server  # joins llama.cpp's threads; leaving them running at exit crashes
    os._exit(0)


if __name__ == "__main__":
    main()
