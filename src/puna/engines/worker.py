"""The child process that holds llama.cpp. Knows its settings and nothing of prompts; ends when its stdin does.

A process of its own, because llama.cpp may abort: n_batch 0, a GGUF that lies, memory that runs out would take the
endpoint with them. Protocol: one JSON line of settings on stdin; one JSON line on stdout, ``{"address", "build", "gpu"}``,
``{"error"}`` or ``{"refused"}``; then llama.cpp's own HTTP server on loopback until stdin closes, also when the parent is killed.
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

_FLASH_ATTENTION = {
    "auto": "LLAMA_FLASH_ATTN_TYPE_AUTO",
    "on": "LLAMA_FLASH_ATTN_TYPE_ENABLED",
    "off": "LLAMA_FLASH_ATTN_TYPE_DISABLED",
}


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
    params.cache_ram_mib = settings["prompt_cache"]  # what a slot loses is kept there; default 8192: it grows to 8 GiB
    params.flash_attn_type = getattr(xllamacpp.llama_flash_attn_type, _FLASH_ATTENTION[settings["flash_attention"]])
    params.cache_type_k = params.cache_type_v = getattr(
        xllamacpp.ggml_type, f"GGML_TYPE_{settings['cache_type'].upper()}"
    )
    if settings["gpu_layers"] is not None:
        params.n_gpu_layers = settings["gpu_layers"]
    params.verbosity = 1  # errors only, on stderr: the one place where the cause of a failed load is told
    params.endpoint_slots = True
    params.prefill_assistant = False
    params.ui = False
    params.slot_save_path = settings["folder"] + os.sep  # llama.cpp puts a file's name right behind it
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]  # its HTTP server always listens, and allows any origin
    return params


def gpus() -> list[str]:
    """The GPUs that llama.cpp can use: none, where it was built for processors alone."""
    import xllamacpp  # noqa: PLC0415

    return [device["name"] for device in xllamacpp.get_device_info() if device["type"].name.endswith("GPU")]


def refusal(settings: dict[str, Any], found: list[str]) -> str | None:
    """What llama.cpp would pass over in silence."""
    if not settings["gpu_layers"] or found:
        return None
    return (
        f"--gpu-layers {settings['gpu_layers']} needs a llama.cpp that was built for a GPU, and a GPU, but the installed xllamacpp finds "
        "none: leave it out, or install a wheel of xllamacpp for CUDA, ROCm, Vulkan or Metal (its page names their index)"
    )


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

        found = gpus()
        if refused := refusal(settings, found):
            tell(refused=refused)
            os._exit(1)
        server = xllamacpp.Server(parameters(settings))
        build = f"xllamacpp-{xllamacpp.__version__}"
        tell(address=server.listening_address, build=build, gpu="" if settings["gpu_layers"] == 0 else ",".join(found))
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
