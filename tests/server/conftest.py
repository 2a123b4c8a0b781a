"""One server for all tests of this folder; each test gets it as new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from .live import Live, Speaker


@pytest.fixture
def speaker(live: Live) -> Speaker:
    return live.speaker


@pytest.fixture(scope="session")
def _client(_live: Live) -> Iterator[Callable[[str], Any]]:
    made: dict[str, Any] = {}

    def make(service: str) -> Any:
        if service not in made:
            made[service] = boto3.client(
                service,
                endpoint_url=_live.url,
                region_name="eu-west-1",
                aws_access_key_id="AKIDLOCAL",
                aws_secret_access_key="local-secret",
                config=Config(retries={"total_max_attempts": 1}, proxies={}),
            )
        return made[service]

    yield make
    for client in made.values():
        client.close()


@pytest.fixture
def client(live: Live, _client: Callable[[str], Any]) -> Callable[[str], Any]:
    """boto3 clients by the service's name."""
    return _client


@pytest.fixture
def runtime(client: Callable[[str], Any]) -> Any:
    """boto3's client of SageMaker Runtime."""
    return client("sagemaker-runtime")
