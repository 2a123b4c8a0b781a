"""AWS's configuration as its own tools read it: where SageMaker Runtime is, and signatures by the credentials of the normal chain.

botocore does both (its chain: environment, profiles and their roles, SSO, web identity, container, instance), and refreshes credentials that
expire. It reads files and asks servers, so all of it runs in threads. Nothing else of it is used: connections are httpx's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from puna.errors import InputError

SERVICE = "sagemaker"
"""By which requests to SageMaker Runtime are signed (botocore's service model: ``signingName``)."""

_SIGNED = ("content-type", "x-amz-")
"""What is signed besides the host, as botocore does: the body's type, and all that begins so or with x-amzn-."""

T = TypeVar("T")


class Signer(httpx.Auth):
    """Signs requests with AWS Signature Version 4. url: of SageMaker Runtime, by the configuration.

    authority: what checks certificates, where the configuration names a bundle (AWS_CA_BUNDLE, ``ca_bundle``).
    """

    requires_request_body = True

    def __init__(self, credentials: Any, region: str, url: str, authority: str | None = None) -> None:
        self.region = region
        self.url = url
        self.authority = authority
        self._credentials = credentials

    @property
    def verify(self) -> ssl.SSLContext | None:
        """What checks certificates; None for the usual authorities.

        Raises:
            InputError: the bundle cannot be read.
        """
        if self.authority is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.authority)
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"the bundle of certificates {self.authority} that AWS's configuration names cannot be read: {error}"
            ) from error

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign in the caller's thread."""
        self._sign(request)
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign in a thread: credentials may have to be fetched anew."""
        await request.aread()
        await asyncio.to_thread(self._sign, request)
        yield request

    def _sign(self, request: httpx.Request) -> None:
        from botocore.auth import SigV4Auth  # noqa: PLC0415  # heavy, and only for who uses AWS
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        names = [name for name in request.headers if name.startswith((*_SIGNED, "x-amzn-"))]
        url = str(request.url)
        signed = AWSRequest(request.method, url, {name: request.headers[name] for name in names}, request.content, {})
        SigV4Auth(_told(self._credentials.get_frozen_credentials), SERVICE, self.region).add_auth(signed)
        for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
            if name in signed.headers:
                request.headers[name] = signed.headers[name]


def find_signer(region: str | None = None, profile: str | None = None) -> Signer:
    """Who signs, and where the runtime is, by AWS's configuration. Blocks, for seconds where an instance is asked for credentials.

    region, profile: in the place of the configured ones.

    Raises:
        InputError: botocore is missing, no region, no credentials, or a configuration that cannot be read.
    """
    return _told(lambda: _find(region, profile))


def _find(region: str | None, profile: str | None) -> Signer:
    session = _session(profile)
    client = session.create_client("sagemaker-runtime", region_name=region)
    credentials = session.get_credentials()
    if credentials is None:
        raise InputError(
            "no AWS credentials were found; give some in one of the places where AWS's tools look: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "`aws configure`, `aws sso login`, or a role of the machine"
        )
    try:
        bundle = session.get_config_variable("ca_bundle")
        return Signer(
            credentials, client.meta.region_name, client.meta.endpoint_url, bundle and str(Path(bundle).expanduser())
        )
    finally:
        client.close()


def _session(profile: str | None) -> Any:
    try:
        from botocore.session import Session  # noqa: PLC0415  # heavy, and only for who uses AWS
    except ImportError as error:
        raise InputError(
            "endpoints of AWS are called with botocore's signatures, and it is not installed: pip install 'puna[aws]'"
        ) from error
    return Session(profile=profile)


def _told(ask: Callable[[], T]) -> T:
    """What botocore finds; its errors in sentences."""
    try:
        from botocore import exceptions  # noqa: PLC0415
    except ImportError:
        return ask()
    try:
        return ask()
    except exceptions.NoRegionError as error:
        raise InputError(
            "AWS's configuration names no region; set AWS_DEFAULT_REGION (such as eu-west-1), or a region for the profile in ~/.aws/config"
        ) from error
    except exceptions.ProfileNotFound as error:
        raise InputError(f"{error}; `aws configure list-profiles` lists them, and AWS_PROFILE chooses") from error
    except (
        exceptions.UnauthorizedSSOTokenError,
        exceptions.SSOTokenLoadError,
        exceptions.TokenRetrievalError,
    ) as error:
        raise InputError(
            f"the AWS session has ended or never began ({error}); run `aws sso login` and ask again"
        ) from error
    except exceptions.BotoCoreError as error:
        raise InputError(
            f"AWS's configuration or credentials cannot be used: {error}; `aws sts get-caller-identity` uses the same"
        ) from error
