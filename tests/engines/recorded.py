"""Servers as their documentation and sources describe them (read 2026-11-28), for those that are not installed here.

``vocabulary`` stands in for a Hugging Face tokenizer as vLLM and SGLang use it: a control token is found in every text, and every other
character is a token of its own.
"""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTROL = {"<|im_start|>": 1, "<|im_end|>": 2, "<|endoftext|>": 0, "<|unheard_of|>": 3}
"""The last one is in no list of known ones."""

_ANY = re.compile("|".join(map(re.escape, CONTROL)) + "|.", re.DOTALL)


def ids_of(text):
    return [CONTROL.get(token, 100 + ord(token[0])) for token in _ANY.findall(text)]


def text_of(ids):
    names = {number: text for text, number in CONTROL.items()}
    return "".join(names.get(n) or chr(n - 100) for n in ids)


class Recorded:
    """routes: what a path answers, a value or a function of the request's body. asked: path and body of every request."""

    def __init__(self, routes):
        self.routes = routes
        self.asked = []
        self.url = ""

    def bodies(self, path):
        return [body for asked, body in self.asked if asked == path]

    def answer(self, path, body):
        self.asked.append((path, body))
        if path not in self.routes:
            return 404, {"detail": "Not Found"}
        route = self.routes[path]
        try:
            return 200, route(body) if callable(route) else route
        except (KeyError, TypeError) as error:
            return 422, {"detail": f"cannot read the request: {error}"}


@contextmanager
def recorded(routes):
    """The server at work."""
    server = Recorded(routes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.tell(None)

        def do_POST(self):
            self.tell(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def tell(self, body):
            status, said = server.answer(self.path, body)
            streamed = isinstance(said, bytes)
            data = said if streamed else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def sse(*values):
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values) + b"data: [DONE]\n\n"


def chat(_):
    return sse(
        {"choices": [{"index": 0, "delta": {"content": "Hello"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    )


def completion(body):
    """Streamed, or the answer to the question of one token; token ids are taken, and echoed where that is asked for."""
    if body.get("stream"):
        return sse(
            {"choices": [{"index": 0, "text": "Hello", "finish_reason": None}]},
            {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]},
        )
    ids = [int(n) for n in body["prompt"]] if isinstance(body["prompt"], list) else ids_of(body["prompt"])
    new = [100 + ord("x")] * max(1, body["max_tokens"])
    told = [*ids, *new] if body.get("echo") else new
    count = len(told)
    logprobs = {
        "text_offset": list(range(count)), "tokens": [text_of([n]) for n in told],
        "token_logprobs": [None, *[-1.0] * (count - 1)], "top_logprobs": [None, *[{"x": -1.0}] * (count - 1)],
    }  # fmt: skip
    return {
        "object": "text_completion", "choices": [{"index": 0, "text": text_of(told), "logprobs": logprobs, "finish_reason": "length"}],
    }  # fmt: skip


def vllm():
    """https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html, ``entrypoints/serve/tokenize/protocol.py``."""

    def tokenize(body):
        if "messages" in body:
            text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in body["messages"])
            ids = ids_of(f"{text}<|im_start|>assistant\n")
        else:
            ids = ids_of(body["prompt"])
        strs = [text_of([n]) for n in ids] if body.get("return_token_strs") else None
        return {"count": len(ids), "max_model_len": 4096, "tokens": ids, "token_strs": strs}

    model = {
        "id": "acme/chat",
        "object": "model",
        "created": 1,
        "owned_by": "vllm",
        "root": "acme/chat",
        "parent": None,
        "max_model_len": 4096,
    }
    return {
        "/v1/models": {"object": "list", "data": [model]},
        "/version": {"version": "0.33.0"},
        "/tokenize": tokenize,
        "/detokenize": lambda body: {"prompt": text_of(body["tokens"])},
        "/v1/completions": completion,
        "/v1/chat/completions": chat,
    }


def sglang():
    """``srt/entrypoints/openai/serving_tokenize.py``: several texts at once; ids of a text, or a list of them."""

    def tokenize(body):
        texts = body["prompt"]
        ids = ids_of(texts) if isinstance(texts, str) else [ids_of(text) for text in texts]
        return {"tokens": ids, "count": 0, "max_model_len": 32768}

    model = {
        "id": "acme/chat",
        "object": "model",
        "created": 1,
        "owned_by": "sglang",
        "root": "acme/chat",
        "max_model_len": 32768,
    }
    return {
        "/v1/models": {"object": "list", "data": [model]},
        "/v1/tokenize": tokenize,
        "/v1/detokenize": lambda body: {"text": text_of(body["tokens"])},
        "/v1/completions": completion,
        "/v1/chat/completions": chat,
    }


def ollama():
    """``openai/openai.go`` (``ListCompletion``, ``FromCompleteRequest``) and ``GET /api/ps``, ``/api/version`` of its docs/api.md."""
    running = {"name": "llama3.2:latest", "model": "llama3.2:latest", "size": 1, "context_length": 8192}
    return {
        "/v1/models": {"object": "list", "data": [{"id": "llama3.2:latest", "object": "model", "created": 1, "owned_by": "library"}]},
        "/api/ps": {"models": [running]},
        "/api/version": {"version": "0.12.11"},
        "/v1/completions": completion,
        "/v1/chat/completions": chat,
    }  # fmt: skip


def lm_studio():
    """https://lmstudio.ai/docs/developer/rest/endpoints (``GET /api/v0/models``)."""
    listed = {"id": "granite-4.1-8b", "object": "model", "owned_by": "organization_owner"}
    more = {
        "id": "granite-4.1-8b", "object": "model", "type": "llm", "publisher": "ibm", "arch": "granite", "compatibility_type": "gguf",
        "quantization": "Q4_K_M", "state": "loaded", "max_context_length": 131072, "loaded_context_length": 4096,
    }  # fmt: skip
    return {
        "/v1/models": {"data": [listed], "object": "list"},
        "/api/v0/models": {"object": "list", "data": [more]},
        "/v1/completions": completion,
        "/v1/chat/completions": chat,
    }


def stranger():
    """A server of messages that says nothing of itself, such as a gateway."""
    return {
        "/v1/models": {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "acme"}]},
        "/v1/chat/completions": chat,
    }
