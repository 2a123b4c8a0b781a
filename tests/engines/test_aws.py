"""AWS's configuration: what is found in it, and what is said where it does not do. Signatures themselves are checked in ``test_sagemaker``."""

from __future__ import annotations

import asyncio
import builtins
import ssl
import sys

import httpx
import pytest

from puna.engines.aws import find_signer
from puna.errors import InputError
from tests.engines.strange import CERTIFICATES

pytest.importorskip("botocore", reason="of puna[aws]")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """A region and a key, and nothing of the machine's own."""
    told = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIDLOCAL",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def signed(signer, url="http://h/endpoints/a%20b/invocations", **headers):
    """The headers of a request as it is sent."""

    async def scenario():
        transport = httpx.MockTransport(lambda request: httpx.Response(200, json=dict(request.headers)))
        async with httpx.AsyncClient(transport=transport, auth=signer) as http:
            return (await http.post(url, json={"prompt": "Hi"}, headers=headers)).json()

    return asyncio.run(scenario())


def test_the_address_is_that_of_the_region():
    signer = find_signer()
    assert (signer.url, signer.region) == ("https://runtime.sagemaker.eu-west-1.amazonaws.com", "eu-west-1")
    assert find_signer("cn-north-1").url == "https://runtime.sagemaker.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"])
def test_the_address_of_the_environment_is_taken(environment, name):
    environment.setenv(name, "http://127.0.0.1:8080")
    assert find_signer().url == "http://127.0.0.1:8080"


def test_what_is_signed():
    told = signed(find_signer(), **{"X-Amzn-SageMaker-Custom-Attributes": "a=b"})
    assert "Credential=AKIDLOCAL/" in told["authorization"]
    assert "/eu-west-1/sagemaker/aws4_request" in told["authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amzn-sagemaker-custom-attributes," in told["authorization"]
    assert "x-amz-security-token" not in told


def test_a_session_token_goes_along(environment):
    environment.setenv("AWS_SESSION_TOKEN", "a-session")
    told = signed(find_signer())
    assert told["x-amz-security-token"] == "a-session"
    assert "x-amz-security-token" in told["authorization"]


def test_credentials_that_run_out_are_fetched_anew(environment, tmp_path):
    """By a process of the configuration, which says that each of its keys holds for a moment only."""
    script = tmp_path / "keys.py"
    script.write_text(
        "import datetime, json, pathlib\n"
        "count = pathlib.Path(__file__).with_name('count')\n"
        "count.write_text((count.read_text() if count.exists() else '') + 'x')\n"
        "soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'AKID{len(count.read_text())}', 'SecretAccessKey': 's', "
        "'Expiration': soon.isoformat()}))\n"
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    signer = find_signer()
    keys = [signed(signer)["authorization"].split("Credential=")[1].split("/")[0] for _ in range(2)]
    assert len(set(keys)) == 2


def test_a_bundle_of_certificates_is_taken(environment, tmp_path):
    assert find_signer().verify is None
    environment.setenv("AWS_CA_BUNDLE", str(CERTIFICATES / "other-host.pem"))
    assert isinstance(find_signer().verify, ssl.SSLContext)
    environment.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(
        InputError, match=r"the bundle of certificates .*none.pem that AWS's configuration names cannot be read"
    ):
        _ = find_signer().verify


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"AWS_DEFAULT_REGION": None}, "names no region; set AWS_DEFAULT_REGION"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "no AWS credentials were found; give some"),
        ({"AWS_PROFILE": "nobody"}, "nobody.*AWS_PROFILE chooses"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "cannot be used: Partial credentials"),
    ],
)
def test_what_is_missing_is_said(environment, changes, part):
    for name, value in changes.items():
        if value is None:
            environment.delenv(name)
        else:
            environment.setenv(name, value)
    with pytest.raises(InputError, match=part):
        find_signer()


def test_a_session_that_has_ended_says_how_to_begin_one(environment, tmp_path):
    (tmp_path / "config").write_text(
        "[default]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    environment.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="run `aws sso login` and ask again"):
        signed(find_signer())


def test_a_configuration_that_cannot_be_read(tmp_path):
    (tmp_path / "config").write_text("[default\nregion")
    with pytest.raises(InputError, match="AWS's configuration or credentials cannot be used"):
        find_signer()


def test_without_botocore_it_is_said_how_to_get_it(environment):
    real = builtins.__import__

    def no_botocore(name, *rest, **more):
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *rest, **more)

    environment.setattr(builtins, "__import__", no_botocore)
    with pytest.raises(InputError, match=r"pip install 'puna\[aws\]'"):
        find_signer()
