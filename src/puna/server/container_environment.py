"""Whether ``puna serve`` would start in a container with a given environment. Knows settings; opens no file, and starts nothing.

AWS's words for a container that does not: https://github.com/aws/sagemaker-python-sdk/issues/787 (read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import Mapping

from puna.errors import InputError
from puna.server.auth import proofs_of
from puna.settings import Settings, settings

IMAGE = {"PUNA_HOST": "0.0.0.0", "PUNA_AUTH": "none", "PUNA_MODEL": "/opt/ml/model", "PUNA_HOME": "/var/lib/puna"}  # noqa: S104
"""The environment that puna's image sets (``container/Dockerfile``), under that of the model."""

PORT = 8080
"""Where SageMaker looks for a container."""

_REASON = 1024
"""Characters of a FailureReason."""


def failure_of(environment: Mapping[str, str], variant: str) -> str | None:
    """Why a container of puna's would not get into service with this environment; None where it would. variant: its name."""
    try:
        why = _unreachable(_checked(environment))
    except InputError as error:
        why = f"puna serve refuses: {error}"
    if why is None:
        return None
    health = (
        f"The primary container for production variant {variant} did not pass the ping health check. Please check CloudWatch "
        "logs for this endpoint."
    )
    return f"{health} ({why})"[:_REASON]


def _checked(environment: Mapping[str, str]) -> Settings:
    """As ``puna serve`` reads them. Nothing is opened: not the model's folder, nor a file of faults.

    Raises:
        InputError: it would refuse them.
    """
    wanted = settings({}, {**IMAGE, **environment})
    proofs_of(wanted)
    return wanted


def _unreachable(wanted: Settings) -> str | None:
    if wanted.port != PORT:
        return f"it would listen on port {wanted.port}, and SageMaker looks for it on {PORT}"
    if wanted.host in {"127.0.0.1", "::1", "localhost"}:
        return f"it would listen on {wanted.host}, which nobody outside of the container can reach"
    if wanted.auth is None:
        return f"PUNA_HOST={wanted.host} can be reached by others, so PUNA_AUTH must say what they must bear; none is what SageMaker needs"
    return None
