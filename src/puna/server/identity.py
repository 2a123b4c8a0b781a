"""STS and IAM, as far as AWS programs ask them on their way to an endpoint: who am I, and what is my role. Knows no account.

They speak the query protocol, form in and XML out, errors too: a JSON error makes botocore raise ResponseParserError, which
the SageMaker SDK v2 does not catch. Shapes and namespaces: botocore 1.44.5, service models of sts 2011-06-15 and iam
2010-05-08; https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html and
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html. All read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.responses import Response

from puna.server import aws
from puna.server.exchange import BodyTooLargeError, Exchange

ROLE = "PunaLocalRole"
ROLE_ARN = f"arn:aws:iam::{aws.ACCOUNT}:role/{ROLE}"

_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_IAM = "https://iam.amazonaws.com/doc/2010-05-08/"

_CALLER = f"""<GetCallerIdentityResult>
<Arn>arn:aws:sts::{aws.ACCOUNT}:assumed-role/{ROLE}/local</Arn>
<UserId>AROAPUNALOCALPUNALOCA:local</UserId>
<Account>{aws.ACCOUNT}</Account>
</GetCallerIdentityResult>"""

_ROLE = f"""<GetRoleResult><Role>
<Path>/</Path>
<RoleName>{ROLE}</RoleName>
<RoleId>AROAPUNALOCALPUNALOCA</RoleId>
<Arn>{ROLE_ARN}</Arn>
<CreateDate>2026-11-22T00:00:00Z</CreateDate>
<MaxSessionDuration>3600</MaxSessionDuration>
</Role></GetRoleResult>"""


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    code: str
    message: str


def answer(exchange: Exchange, body: bytes) -> Response:
    """The answer to a form, whatever it is."""
    try:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        form = {}
    action = form.get("Action", "")
    exchange.note = plain(action)
    if action == "GetCallerIdentity":
        return _xml(exchange, _STS, action, _CALLER)
    if action == "GetRole":
        refusal = _role_refusal(form.get("RoleName", ""))
        return _xml_error(exchange, _IAM, refusal) if refusal else _xml(exchange, _IAM, action, _ROLE)
    namespace = _IAM if form.get("Version") == "2010-05-08" else _STS
    message = (
        f"The action {plain(action)} is not valid for this web service. puna answers GetCallerIdentity and GetRole."
        if action
        else "A form with the field Action is expected here. puna answers GetCallerIdentity and GetRole."
    )
    return _xml_error(exchange, namespace, _Refusal(400, "InvalidAction" if action else "MissingAction", message))


def _role_refusal(name: str) -> _Refusal | None:
    if not name:
        return _Refusal(
            400, "ValidationError", "Value null at 'roleName' failed to satisfy constraint: Member must not be null"
        )
    if name != ROLE:
        message = f"The role with name {plain(name)} cannot be found. The only one here is {ROLE}."
        return _Refusal(404, "NoSuchEntity", message)
    return None


def too_large(exchange: Exchange, error: BodyTooLargeError) -> Response:
    """The answer to a form that was not read."""
    return _xml_error(exchange, _STS, _Refusal(error.status, "RequestEntityTooLarge", str(error)))


def _xml(exchange: Exchange, namespace: str, action: str, result: str) -> Response:
    body = (
        f'<{action}Response xmlns="{namespace}">{result}<ResponseMetadata><RequestId>{exchange.id}</RequestId>'
        f"</ResponseMetadata></{action}Response>"
    )
    return Response(body, media_type="text/xml")


def _xml_error(exchange: Exchange, namespace: str, refusal: _Refusal) -> Response:
    exchange.note = refusal.message
    body = (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>Sender</Type><Code>{refusal.code}</Code>'
        f"<Message>{escape(refusal.message)}</Message></Error><RequestId>{exchange.id}</RequestId></ErrorResponse>"
    )
    return Response(body, refusal.status, media_type="text/xml")


def plain(given: str) -> str:
    """What a caller wrote, in characters that XML, JSON and a log line all carry."""
    return "".join(c if " " <= c <= "~" else "?" for c in given[:100])
