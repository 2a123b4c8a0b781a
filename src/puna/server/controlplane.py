"""``POST /``: what AWS programs ask before they call an endpoint, and how they deploy one. Knows of the endpoint its name, age and state.

Services share the path: STS and IAM send a form (``identity``); SageMaker's control plane names its operation in
``X-Amz-Target`` and speaks JSON 1.1, times in seconds since 1970. The endpoint that is here can be looked at and not be changed; what
callers create beside it is kept in memory (``deployments``), and answered by the same engine.

Shapes and constraints: ``control_inputs``. Words for what is not found, and ARNs in lower case:
https://github.com/aws/amazon-sagemaker-examples/issues/2402, 2339 and 293 (read 2026-11-22); for what exists already
https://github.com/astronomer/astronomer-providers/issues/1055 and
https://github.com/awslabs/spot-tagging-bot-for-digital-assets/issues/2; for what is in progress, as kubeflow's and terraform's
programs look for it (read 2026-11-29). For what is not offered the sentences are puna's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from puna.server import aws, identity
from puna.server.container_environment import failure_of
from puna.server.control_inputs import INPUTS, NOT_OFFERED
from puna.server.deployments import Deployments, Endpoint, Made, Thing, container_of, page
from puna.server.exchange import BodyTooLargeError, Exchange, exchange_of, read_body
from puna.server.headers import VARIANT
from puna.server.shapes import ControlError, members_of

MAX_BODY = 64 * 1024
"""Bytes of a call; a model's environment is the longest thing in one."""

_STATES = {
    "ready": "InService", "loading": "Creating", "restarting": "Updating", "away": "OutOfService", "stopping": "Deleting",
}  # fmt: skip
"""EndpointStatus by the state of the engine; any other state is Failed."""

_STOPPED = "The engine has stopped; puna's log says why."

Answer = Mapping[str, object]
T = TypeVar("T", Thing, Endpoint)


class ControlPlane:
    """An ASGI app. own: the name of the endpoint that is here. status: its state, a word of ``container.STATUS``.

    created: when it was started, which is also when it was last modified: nobody can modify it.
    """

    def __init__(self, own: str, status: Callable[[], str], created: datetime, deployments: Deployments) -> None:
        self.own = own
        self.status = status
        self.created = created.timestamp()
        self.deployments = deployments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        exchange, headers = exchange_of(scope), Headers(scope=scope)
        exchange.route = "control"
        in_json = "x-amz-target" in headers
        try:
            body = await read_body(scope, receive, MAX_BODY)
        except BodyTooLargeError as error:
            too_large = ControlError(str(error), "RequestEntityTooLarge", error.status)
            response = _error(exchange, too_large) if in_json else identity.too_large(exchange, error)
        else:
            response = self._control(exchange, headers, body) if in_json else identity.answer(exchange, body)
        await response(scope, receive, send)

    def _control(self, exchange: Exchange, headers: Headers, body: bytes) -> Response:
        try:
            operation = _operation(headers["x-amz-target"])
            exchange.note = operation
            given = members_of(operation, INPUTS[operation], body)
            _check_offered(operation, given)
            call = Call(self, aws.region_of(headers.get("authorization", "")), given)
            answer = _ANSWERS[operation](call)
            exchange.note = call.note or operation
            return _json(answer) if answer else Response(media_type="application/x-amz-json-1.1")
        except ControlError as error:
            return _error(exchange, error)


class Call:
    """One call under way. region: that it was signed for, in which its ARNs are. note: for the log."""

    def __init__(self, plane: ControlPlane, region: str, given: Mapping[str, Any]) -> None:
        self.plane = plane
        self.kept = plane.deployments
        self.region = region
        self.given = given
        self.note = ""

    # ---- models

    def create_model(self) -> Answer:
        """A name for a container and its environment."""
        name = self._new("model", "ModelName", {self.plane.own, *self.kept.models})
        containers = [*self.given.get("Containers", ())]
        containers += [self.given["PrimaryContainer"]] if "PrimaryContainer" in self.given else []
        if len(containers) != 1:
            raise ControlError(
                f"puna has one model in one container, but {len(containers)} containers came; give one PrimaryContainer."
            )
        for member in ("ModelPackageName", "InferenceSpecificationName", "MultiModelConfig"):
            if containers[0].get(member):
                raise ControlError(f"puna does not offer {member} of a container; give its Image.")
        if containers[0].get("Mode") == "MultiModel":
            raise ControlError("puna does not offer the Mode MultiModel; leave it out.")
        if not containers[0].get("Image"):
            raise ControlError("The container needs an Image.")
        self.kept.add(self.kept.models, name, self.given)
        return {"ModelArn": self._arn("model", name)}

    def describe_model(self) -> Answer:
        """What CreateModel was given."""
        model = self._found("model", "ModelName", self._models())
        container = container_of(model.given)
        more = _told_back(model.given, "ExecutionRoleArn", "VpcConfig", "Containers")
        if "PrimaryContainer" in model.given:
            more["PrimaryContainer"] = {"Mode": "SingleModel", **container}
        return {
            "ModelName": model.name,
            "ModelArn": self._arn("model", model.name),
            "CreationTime": model.created,
            "EnableNetworkIsolation": bool(model.given.get("EnableNetworkIsolation")),
            **more,
        }

    def list_models(self) -> Answer:
        """A page of them."""
        return self._list("Models", self._models(), lambda model: {
            "ModelName": model.name, "ModelArn": self._arn("model", model.name), "CreationTime": model.created,
        })  # fmt: skip

    def delete_model(self) -> Answer:
        """Endpoints that were made of it go on."""
        del self.kept.models[self._changeable("model", "ModelName", self._models()).name]
        return {}

    def _models(self) -> dict[str, Thing]:
        own = self.plane.own
        return {own: Thing(own, self.plane.created), **self.kept.models}

    # ---- endpoint configurations

    def create_endpoint_config(self) -> Answer:
        """A name for one variant of one model."""
        name = self._new("endpoint configuration", "EndpointConfigName", {self.plane.own, *self.kept.configs})
        variants = self.given["ProductionVariants"]
        if len(variants) != 1:
            raise ControlError(f"puna has one variant, but {len(variants)} came.")
        model = variants[0].get("ModelName")
        if model is None:
            raise ControlError("puna has no inference components, so a variant needs a ModelName.")
        if model not in self._models():
            raise ControlError(f'Could not find model "{self._arn("model", model)}".')
        if not (variants[0].get("InstanceType") or variants[0].get("ServerlessConfig")):
            raise ControlError("A variant needs an InstanceType or a ServerlessConfig.")
        self.kept.add(self.kept.configs, name, self.given)
        return {"EndpointConfigArn": self._arn("endpoint-config", name)}

    def describe_endpoint_config(self) -> Answer:
        """What CreateEndpointConfig was given."""
        config = self._found("endpoint configuration", "EndpointConfigName", self._configs())
        given = config.given
        return {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": self._arn("endpoint-config", config.name),
            "ProductionVariants": given["ProductionVariants"],
            "CreationTime": config.created,
            **_told_back(given, "KmsKeyId", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation"),
        }

    def list_endpoint_configs(self) -> Answer:
        """A page of them."""
        return self._list("EndpointConfigs", self._configs(), lambda config: {
            "EndpointConfigName": config.name, "EndpointConfigArn": self._arn("endpoint-config", config.name),
            "CreationTime": config.created,
        })  # fmt: skip

    def delete_endpoint_config(self) -> Answer:
        """Endpoints that were made of it go on."""
        del self.kept.configs[self._changeable("endpoint configuration", "EndpointConfigName", self._configs()).name]
        return {}

    def _configs(self) -> dict[str, Thing]:
        return {self.plane.own: self._own_config(), **self.kept.configs}

    # ---- endpoints

    def create_endpoint(self) -> Answer:
        """A name that the engine here answers under, once it has settled."""
        name = self._new("endpoint", "EndpointName", {self.plane.own, *self.kept.endpoints})
        made = self._made()
        self.kept.start(name, made)
        self.note = self._deployed(name, made)
        return {"EndpointArn": self._arn("endpoint", name)}

    def update_endpoint(self) -> Answer:
        """Another configuration; it answers all the while, and stays as it was where the new container would not start."""
        endpoint = self._settled()
        made = self._made()
        self.kept.change(endpoint, "Updating", made)
        self.note = self._deployed(endpoint.name, made)
        return {"EndpointArn": self._arn("endpoint", endpoint.name)}

    def delete_endpoint(self) -> Answer:
        """Nothing new is answered from now on; what was accepted is finished."""
        self.kept.change(self._settled(), "Deleting")
        return {}

    def describe_endpoint(self) -> Answer:
        """State, and of what it is made."""
        endpoint = self._found("endpoint", "EndpointName", self._endpoints())
        facts = self._summary(endpoint)
        made, status = endpoint.made, facts["EndpointStatus"]
        count, current = (
            made.variant.get("InitialInstanceCount", 1),
            status == "InService" or endpoint.change == "Updating",
        )
        weight, image = made.variant.get("InitialVariantWeight", 1.0), made.container.get("Image")
        variant = {
            "VariantName": made.variant["VariantName"],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "CurrentInstanceCount": count if current else 0,
            "DesiredInstanceCount": count,
            **({"DeployedImages": [{"SpecifiedImage": image}]} if image else {}),
        }
        reason = endpoint.reason or (_STOPPED if status == "Failed" else None)
        return {
            **facts,
            "EndpointConfigName": made.config.name,
            "ProductionVariants": [variant],
            **({"FailureReason": reason} if reason else {}),
        }

    def list_endpoints(self) -> Answer:
        """A page of them, where the filters let them through."""
        return self._list("Endpoints", self._endpoints(), self._summary)

    def _endpoints(self) -> dict[str, Endpoint]:
        own, created = self.plane.own, self.plane.created
        made = Made(self._own_config(), Thing(own, created), None)
        return {own: Endpoint(own, made, created, created, change=None), **self.kept.endpoints}

    def _own_config(self) -> Thing:
        """No instance type: this machine is none of AWS's."""
        text = (
            f'{{"ProductionVariants": [{{"VariantName": "{VARIANT}", "ModelName": "{self.plane.own}", '
            '"InitialInstanceCount": 1, "InitialVariantWeight": 1.0}]}'
        )
        return Thing(self.plane.own, self.plane.created, text)

    def _made(self) -> Made:
        """Of the configuration that is named, and its model as it is now."""
        config = self._found("endpoint configuration", "EndpointConfigName", self._configs())
        variant = config.given["ProductionVariants"][0]
        name, models = variant["ModelName"], self._models()
        if name not in models:
            raise ControlError(f'Could not find model "{self._arn("model", name)}".')
        environment = container_of(models[name].given).get("Environment", {})
        return Made(config, models[name], failure_of(environment, variant["VariantName"]))

    def _settled(self) -> Endpoint:
        """A caller's endpoint that may be changed now."""
        endpoint = self._changeable("endpoint", "EndpointName", self._endpoints())
        if endpoint.change is not None:
            raise ControlError(f'Cannot update in-progress endpoint "{self._arn("endpoint", endpoint.name)}".')
        return endpoint

    def _summary(self, endpoint: Endpoint) -> Answer:
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": self._arn("endpoint", endpoint.name),
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
            "EndpointStatus": self._status(endpoint),
        }

    def _status(self, each: Thing | Endpoint) -> str:
        """Its own, or the engine's where that has one of its own."""
        own = each.status if isinstance(each, Endpoint) else ""
        return _STATES.get(self.plane.status(), "Failed") if own == "InService" else own

    def _deployed(self, name: str, made: Made) -> str:
        """For the log."""
        if made.reason:
            return f"{name} fails: {made.reason}"
        image = made.container.get("Image")
        what = f"image {identity.plain(image)} is not run" if image else f"made of {made.model.name}"
        return f"{name} is answered by the engine of {self.plane.own}; {what}"

    # ---- all three kinds

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{aws.ACCOUNT}:{kind.replace('endpoint configuration', 'endpoint-config')}/{name.lower()}"

    def _new(self, kind: str, member: str, taken: set[str]) -> str:
        """A name that is free. Letters of both cases are one, as in ARNs."""
        if not self.kept.open:
            raise ControlError(
                "puna creates nothing while it runs as several replicas, of which each would know its own alone; start it without "
                "--replicas."
            )
        name: str = self.given[member]
        if name.lower() in {each.lower() for each in taken}:
            raise ControlError(f'Cannot create already existing {kind} "{self._arn(kind, name)}".')
        return name

    def _found(self, kind: str, member: str, among: Mapping[str, T]) -> T:
        name = self.given[member]
        if name not in among:
            raise ControlError(f'Could not find {kind} "{self._arn(kind, name)}".')
        return among[name]

    def _changeable(self, kind: str, member: str, among: Mapping[str, T]) -> T:
        found = self._found(kind, member, among)
        if found.name == self.plane.own:
            raise ControlError(
                f'Cannot change {kind} "{self._arn(kind, found.name)}": it is what puna was started with, and ends when puna does.'
            )
        return found

    def _list(self, member: str, among: Mapping[str, T], summary: Callable[[T], Answer]) -> Answer:
        rows, token = page(among.values(), self.given, self._status)
        return {member: [summary(row) for row in rows], **({"NextToken": token} if token else {})}


_ANSWERS: Mapping[str, Callable[[Call], Answer]] = {
    "CreateModel": Call.create_model,
    "DescribeModel": Call.describe_model,
    "ListModels": Call.list_models,
    "DeleteModel": Call.delete_model,
    "CreateEndpointConfig": Call.create_endpoint_config,
    "DescribeEndpointConfig": Call.describe_endpoint_config,
    "ListEndpointConfigs": Call.list_endpoint_configs,
    "DeleteEndpointConfig": Call.delete_endpoint_config,
    "CreateEndpoint": Call.create_endpoint,
    "DescribeEndpoint": Call.describe_endpoint,
    "ListEndpoints": Call.list_endpoints,
    "UpdateEndpoint": Call.update_endpoint,
    "DeleteEndpoint": Call.delete_endpoint,
}


def _operation(target: str) -> str:
    operation = target.removeprefix("SageMaker.")
    if operation == target or operation not in INPUTS:
        raise ControlError(
            f"puna does not offer {identity.plain(target)}; of SageMaker's control plane it answers {', '.join(INPUTS)}",
            "UnknownOperationException",
        )
    return operation


def _check_offered(operation: str, given: Mapping[str, Any]) -> None:
    for name in NOT_OFFERED.get(operation, ()):
        if given.get(name):
            raise ControlError(f"puna does not offer {name} of {operation}; leave it out.")


def _told_back(given: Mapping[str, Any], *names: str) -> dict[str, object]:
    return {name: given[name] for name in names if name in given}


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(aws.to_json(value), status, dict(headers or {}), media_type="application/x-amz-json-1.1")


def _error(exchange: Exchange, error: ControlError) -> Response:
    exchange.note = str(error)
    return _json({"__type": error.code, "message": str(error)}, error.status, {"x-amzn-ErrorType": error.code})
