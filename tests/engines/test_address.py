"""Forms of addresses, what they tell, and what a server is asked where they tell nothing."""

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from puna.engines.address import Address, checked, keyed
from puna.engines.probing import owner
from puna.errors import EndpointError, InputError, RefusedError, UnreachableError


@pytest.mark.parametrize(
    ("given", "api", "name", "url"),
    [
        (Address("http://127.0.0.1:8080/"), "auto", None, "http://127.0.0.1:8080"),
        (Address("https://host/v1"), "openai", None, "https://host/v1"),
        (Address("https://host/v1/"), "openai", None, "https://host/v1"),
        (Address("https://host/v1", "sagemaker"), "sagemaker", None, "https://host/v1"),
        (Address("http://host:8000", "openai", "m"), "openai", "m", "http://host:8000"),
        (Address("sagemaker:mine"), "sagemaker", "mine", "sagemaker:"),
        (Address("sagemaker:", name="mine"), "sagemaker", "mine", "sagemaker:"),
        (Address("https://runtime.sagemaker.eu-west-1.amazonaws.com", name="e"), "sagemaker", "e",
         "https://runtime.sagemaker.eu-west-1.amazonaws.com"),
    ],
)  # fmt: skip
def test_what_the_form_of_an_address_tells(given, api, name, url):
    found = checked(given, {})
    assert (found.api, found.name, found.url) == (api, name, url)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (Address("localhost:8080"), ["--url", "http://127.0.0.1:8080", "sagemaker:NAME", "'localhost:8080'"]),
        (Address("http://"), ["must be an address"]),
        (Address("http://host:99999"), ["must be an address"]),
        (Address("ftp://host"), ["must be an address", "'ftp://host'"]),
        (Address("http://[::1"), ["must be an address"]),
        (Address("http://me:secret@host"), ["user or password"]),
        (Address("http://host", cast("Any", "opnai")), ["unknown api", "Did you mean 'openai'"]),
        (Address("sagemaker:"), ["endpoint's name", "sagemaker:my-endpoint"]),
        (Address("sagemaker:one", name="two"), ["'one'", "'two'"]),
        (Address("sagemaker:one", "openai"), ["--api openai"]),
        (Address("sagemaker:one", key="k"), ["AWS signatures"]),
        (Address("http://host", dialect="tgj"), ["unknown dialect 'tgj'", "Did you mean 'tgi'"]),
        (Address("https://host/v1", dialect="tgi"), ["'tgi'", "https://host/v1 speaks the OpenAI API"]),
        (Address("http://host", "openai", dialect="tgi"), ["leave the dialect out"]),
        (Address("http://host", retries=21), ["0 to 20, not 21"]),
        (Address("sagemaker:one", retries=cast("Any", "2")), ["0 to 20, not '2'"]),
    ],
)
def test_a_bad_address_is_refused_with_what_to_write(given, parts):
    with pytest.raises(InputError) as caught:
        checked(given, {})
    assert all(part in str(caught.value) for part in parts)
    assert "secret" not in str(caught.value)


def test_the_place_of_a_bad_address_is_named():
    with pytest.raises(InputError, match="--upstream must be an address"):
        checked(Address("host"), {}, "--upstream")


KEYS = {"OPENAI_API_KEY": "openai's", "PUNA_AUTH_TOKEN": "puna's"}


@pytest.mark.parametrize(
    ("given", "environ", "key"),
    [
        (Address("https://host/v1"), KEYS, "openai's"),
        (Address("https://host/v1", key="own"), KEYS, "own"),
        # Nothing is known of it yet: a stranger gets no key.
        (Address("https://host"), KEYS, None),
        (Address("https://host", "sagemaker"), KEYS, None),
        (Address("http://127.0.0.1:1"), KEYS, "puna's"),
        (Address("http://localhost:1/v1"), {"OPENAI_API_KEY": "openai's"}, "openai's"),
        (Address("http://[::1]:1"), {"OPENAI_API_KEY": "openai's"}, None),
        (Address("sagemaker:e"), KEYS, None),
    ],
)
def test_a_key_of_the_environment_goes_only_to_whom_it_is_for(given, environ, key):
    assert checked(given, environ).key == key
    assert keyed(checked(given, environ), environ).key == key


def test_an_address_does_not_show_its_key():
    assert "own" not in repr(Address("https://host", key="own"))


@pytest.mark.parametrize(
    ("url", "signed", "region"),
    [
        ("sagemaker:e", True, None),
        ("https://runtime.sagemaker.eu-west-1.amazonaws.com", True, "eu-west-1"),
        ("https://runtime-fips.sagemaker.us-gov-west-1.amazonaws.com", True, "us-gov-west-1"),
        ("https://runtime.sagemaker.cn-north-1.amazonaws.com.cn", True, "cn-north-1"),
        ("https://runtime.sagemaker.eu-west-1.amazonaws.com.evil.example", False, None),
        ("http://127.0.0.1:8080", False, None),
    ],
)
def test_only_aws_gets_aws_signatures(url, signed, region):
    found = checked(Address(url, "sagemaker"), {})
    assert (found.signed, found.region) == (signed, region)


@contextmanager
def server(status, body, **headers):
    """Answers every GET so; keeps what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("authorization")))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}", asked
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "headers", "found"),
    [
        (200, b'{"data": [{"id": "a", "owned_by": "puna"}, {"id": "b", "owned_by": "puna"}]}', {}, "puna"),
        (200, b'{"data": [{"id": "a", "owned_by": "vllm"}]}', {}, "vllm"),
        (200, b'{"data": [{"id": "a"}]}', {}, ""),
        (200, b'{"data": []}', {}, ""),
        (404, b"no", {}, None),
        (403, b'{"message": "Missing Authentication Token"}', {"x_amzn_requestid": "1"}, None),
    ],
)
def test_whose_models_a_server_lists(status, body, headers, found):
    with server(status, body, **headers) as (url, asked):
        assert asyncio.run(owner(url, "k")) == found
    assert asked == [("/v1/models", "Bearer k")]


@pytest.mark.parametrize(
    ("status", "body", "kind", "part"),
    [
        (401, b"{}", RefusedError, "wants a key"),
        (200, b"<html>", EndpointError, "web page"),
        (200, b'{"data": {}}', EndpointError, "list models"),
        (200, b"[]", EndpointError, "list models"),
    ],
)
def test_what_is_no_list_of_models_is_told(status, body, kind, part):
    with server(status, body, content_type="text/html") as (url, _), pytest.raises(kind, match=part) as caught:
        asyncio.run(owner(url, None))
    assert url in str(caught.value)


def test_where_nothing_listens_that_is_said():
    with server(200, b"") as (url, _):
        pass
    with pytest.raises(UnreachableError):
        asyncio.run(owner(url, None))
