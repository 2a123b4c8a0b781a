"""Endpoints that callers create: boto3's own client and waiters, from CreateModel to the last Delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from botocore.validate import ParamValidator

from puna.server import deployments
from puna.server.deployments import SETTLING_SECONDS, Deployments

from .live import ENDPOINT, Live

Client = Callable[[str], Any]
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/puna:1"
BODY = json.dumps({"prompt": "<s>[INST] Hi [/INST]"})
WAIT = {"Delay": 1, "MaxAttempts": 10}


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def settle(self) -> None:
        self.now += SETTLING_SECONDS


@pytest.fixture
def clock(live: Live) -> Iterator[Clock]:
    clock = Clock()
    live.service.deployments = fresh(live, Deployments(clock=clock))
    yield clock
    fresh(live, Deployments())


def fresh(live: Live, kept: Deployments) -> Deployments:
    """The same store everywhere, as new."""
    now = live.service.deployments
    now.clock, now.wall = kept.clock, kept.wall
    for each in (now.models, now.configs, now._endpoints):
        each.clear()
    return now


@pytest.fixture
def sagemaker(client: Client) -> Any:
    return client("sagemaker")


def checked(sagemaker: Any, operation: str, **arguments: Any) -> Any:
    """An answer that has all that the service model demands, each of its type."""
    answer = getattr(sagemaker, operation)(**arguments)
    del answer["ResponseMetadata"]
    name = sagemaker.meta.method_to_api_mapping[operation]
    shape = sagemaker.meta.service_model.operation_model(name).output_shape
    assert not ParamValidator().validate(answer, shape).has_errors()
    return answer


def model(sagemaker: Any, name: str = "m", **environment: str) -> Any:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz", "Environment": environment}
    role = "arn:aws:iam::123456789012:role/Role"
    return checked(sagemaker, "create_model", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)


def config(sagemaker: Any, name: str = "c", model: str = "m", **more: Any) -> Any:
    variant = {
        "VariantName": "blue",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
        **more,
    }
    return checked(sagemaker, "create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant])


def endpoint(sagemaker: Any, name: str = "Prompts", config: str = "c") -> Any:
    return checked(sagemaker, "create_endpoint", EndpointName=name, EndpointConfigName=config)


def deployed(sagemaker: Any, clock: Clock, **environment: str) -> None:
    model(sagemaker, **environment)
    config(sagemaker)
    endpoint(sagemaker)
    clock.settle()


def status(sagemaker: Any, name: str = "Prompts") -> str:
    return str(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_from_a_model_to_an_answer_and_back(client: Client, live: Live) -> None:
    """By the clock on the wall, with boto3's waiters."""
    fresh(live, Deployments())
    sagemaker, runtime = client("sagemaker"), client("sagemaker-runtime")
    assert model(sagemaker)["ModelArn"] == "arn:aws:sagemaker:eu-west-1:123456789012:model/m"
    assert config(sagemaker)["EndpointConfigArn"].endswith(":endpoint-config/c")
    assert endpoint(sagemaker)["EndpointArn"].endswith(":endpoint/prompts")
    assert status(sagemaker) == "Creating"
    assert refused(runtime.invoke_endpoint, EndpointName="Prompts", Body=BODY) == (
        "ValidationError",
        "Endpoint Prompts of account 123456789012 not found.",
    )
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="Prompts", WaiterConfig=WAIT)
    answer = runtime.invoke_endpoint(EndpointName="Prompts", Body=BODY, TargetVariant="blue")
    assert json.loads(answer["Body"].read()) == {"outputs": ["Ein Lama frißt."]}
    assert answer["InvokedProductionVariant"] == "blue"
    with closing(runtime.invoke_endpoint_with_response_stream(EndpointName="Prompts", Body=BODY)["Body"]) as events:
        records = [json.loads(event["PayloadPart"]["Bytes"]) for event in events]
    assert "".join(record["outputs"][0] for record in records) == "Ein Lama frißt."
    sagemaker.delete_endpoint(EndpointName="Prompts")
    assert status(sagemaker) == "Deleting"
    assert refused(runtime.invoke_endpoint, EndpointName="Prompts", Body=BODY)[0] == "ValidationError"
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="Prompts", WaiterConfig=WAIT)
    sagemaker.delete_endpoint_config(EndpointConfigName="c")
    sagemaker.delete_model(ModelName="m")
    assert (checked(sagemaker, "list_models")["Models"][0]["ModelName"]) == ENDPOINT
    assert runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=BODY)["InvokedProductionVariant"] == "AllTraffic"


def test_it_is_told_who_answers(sagemaker: Any, live: Live, clock: Clock) -> None:
    deployed(sagemaker, clock, PUNA_CONTEXT="2048", TOKEN="secret")
    answer = live.http.post("/endpoints/Prompts/invocations", content=BODY)
    assert answer.headers["x-puna-deployed"] == "model=m; run=no"
    receipt = live.http.get(answer.headers["x-puna-receipt"]).json()
    assert (receipt["endpoint"], receipt["answered_by"]) == ("Prompts", ENDPOINT)
    assert receipt["deployed"] == {
        "config": "c", "variant": "blue", "model": "m", "image": IMAGE, "model_data": "s3://bucket/model.tar.gz",
        "environment": ["PUNA_CONTEXT", "TOKEN"], "run": False,
    }  # fmt: skip
    refusal = live.http.post("/endpoints/Prompts/invocations", content="{")
    assert (refusal.status_code, refusal.headers["x-puna-deployed"]) == (424, "model=m; run=no")
    own = live.http.post(f"/endpoints/{ENDPOINT}/invocations", content=BODY)
    assert "x-puna-deployed" not in own.headers
    assert "deployed" not in live.http.get(own.headers["x-puna-receipt"]).json()
    lines = [live.lines.get_nowait() for _ in range(live.lines.qsize())]
    assert any(f"Prompts is answered by the engine of {ENDPOINT}; image {IMAGE} is not run" in line for line in lines)
    assert not any("secret" in line for line in lines)


def test_the_openai_api_answers_under_the_name_too(sagemaker: Any, live: Live, clock: Clock) -> None:
    deployed(sagemaker, clock)
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    answer = live.http.post("/endpoints/Prompts/openai/v1/chat/completions", json=chat).json()
    assert (answer["model"], answer["choices"][0]["message"]["content"]) == ("Prompts", "Ein Lama frißt.")


def test_everything_is_described_as_it_was_created(sagemaker: Any, clock: Clock) -> None:
    deployed(sagemaker, clock, PUNA_SLOTS="2")
    found = checked(sagemaker, "describe_model", ModelName="m")
    assert found["PrimaryContainer"] == {
        "Mode": "SingleModel", "Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz", "Environment": {"PUNA_SLOTS": "2"},
    }  # fmt: skip
    assert found["ExecutionRoleArn"].endswith(":role/Role")
    assert found["EnableNetworkIsolation"] is False
    config = checked(sagemaker, "describe_endpoint_config", EndpointConfigName="c")
    (variant,) = config["ProductionVariants"]
    assert (variant["VariantName"], variant["InstanceType"], variant["InitialInstanceCount"]) == (
        "blue",
        "ml.m5.large",
        2,
    )
    endpoint = checked(sagemaker, "describe_endpoint", EndpointName="Prompts")
    (variant,) = endpoint["ProductionVariants"]
    assert variant["DeployedImages"] == [{"SpecifiedImage": IMAGE}]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (2, 2)
    assert endpoint["EndpointConfigName"] == "c"
    assert timedelta() <= datetime.now(UTC) - endpoint["CreationTime"] < timedelta(minutes=1)


def test_the_model_that_was_here_before_can_be_deployed_too(sagemaker: Any, client: Client, clock: Clock) -> None:
    assert checked(sagemaker, "describe_model", ModelName=ENDPOINT)["ModelName"] == ENDPOINT
    config(sagemaker, "mine", ENDPOINT)
    endpoint(sagemaker, "second", "mine")
    clock.settle()
    assert client("sagemaker-runtime").invoke_endpoint(EndpointName="second", Body=BODY)["Body"].read()
    assert "DeployedImages" not in sagemaker.describe_endpoint(EndpointName="second")["ProductionVariants"][0]


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        (
            {"PUNA_CONTEXT": "many"},
            "puna serve refuses: PUNA_CONTEXT must be a whole number from 64 to 10000000, not 'many'",
        ),
        ({"PUNA_DIALECT": "tgj"}, "Did you mean 'tgi'?"),
        ({"PUNA_AUTH": "token"}, "PUNA_AUTH_TOKEN"),
        ({"PUNA_AUTH": ""}, "PUNA_AUTH must say what they must bear"),
        ({"PUNA_PORT": "9000"}, "it would listen on port 9000, and SageMaker looks for it on 8080"),
        ({"PUNA_HOST": "127.0.0.1"}, "nobody outside of the container can reach"),
        ({"PUNA_ENGINE": "openai"}, "needs the server's address"),
        ({"PUNA_HOME": "~nobody-of-that-name/x"}, "PUNA_HOME must be a folder"),
        ({"PUNA_MODEL": "x" * 1024, "PUNA_FORMAT": "y" * 1024, "PUNA_SLOTS": "z" * 1024}, "PUNA_SLOTS must be"),
    ],
)
def test_a_container_that_would_not_start_fails_with_a_reason(
    sagemaker: Any, client: Client, clock: Clock, environment: dict[str, str], part: str
) -> None:
    model(sagemaker, **environment)
    config(sagemaker)
    endpoint(sagemaker)
    assert status(sagemaker) == "Creating"
    clock.settle()
    found = checked(sagemaker, "describe_endpoint", EndpointName="Prompts")
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(
        "The primary container for production variant blue did not pass the ping health check. Please check CloudWatch logs for"
    )
    assert part in found["FailureReason"]
    assert len(found["FailureReason"]) <= 1024
    assert (
        refused(client("sagemaker-runtime").invoke_endpoint, EndpointName="Prompts", Body=BODY)[0] == "ValidationError"
    )
    with pytest.raises(WaiterError, match="Failed"):
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="Prompts", WaiterConfig=WAIT)
    sagemaker.delete_endpoint(EndpointName="Prompts")


def test_the_environment_of_another_systems_container_is_none_of_punas_business(sagemaker: Any, clock: Clock) -> None:
    deployed(
        sagemaker,
        clock,
        OPTION_MODEL_ID="x",
        SAGEMAKER_PROGRAM="inference.py",
        HF_TASK="text-generation",
        PUNA_FAULTS="/etc/shadow",
    )
    assert status(sagemaker) == "InService"


def test_an_update_answers_all_the_while_and_is_rolled_back_where_it_fails(
    sagemaker: Any, client: Client, clock: Clock
) -> None:
    deployed(sagemaker, clock)
    runtime = client("sagemaker-runtime")
    model(sagemaker, "m2")
    config(sagemaker, "c2", "m2", VariantName="green")
    model(sagemaker, "bad", PUNA_SLOTS="0")
    config(sagemaker, "c3", "bad", VariantName="red")
    for config_name, variant, reason in (("c3", "blue", True), ("c2", "green", False)):
        checked(sagemaker, "update_endpoint", EndpointName="Prompts", EndpointConfigName=config_name)
        found = checked(sagemaker, "describe_endpoint", EndpointName="Prompts")
        assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("Updating", "c")
        assert runtime.invoke_endpoint(EndpointName="Prompts", Body=BODY)["InvokedProductionVariant"] == "blue"
        clock.settle()
        found = checked(sagemaker, "describe_endpoint", EndpointName="Prompts")
        assert found["EndpointStatus"] == "InService"
        assert ("PUNA_SLOTS" in found.get("FailureReason", "")) == reason
        assert runtime.invoke_endpoint(EndpointName="Prompts", Body=BODY)["InvokedProductionVariant"] == variant
    assert found["LastModifiedTime"] >= found["CreationTime"]


def test_an_endpoint_outlives_what_it_was_made_of(sagemaker: Any, client: Client, clock: Clock) -> None:
    """``Predictor.delete_endpoint`` of sagemaker 2 deletes the configuration first."""
    deployed(sagemaker, clock)
    sagemaker.delete_endpoint_config(EndpointConfigName="c")
    sagemaker.delete_model(ModelName="m")
    assert client("sagemaker-runtime").invoke_endpoint(EndpointName="Prompts", Body=BODY)["Body"].read()
    assert checked(sagemaker, "describe_endpoint", EndpointName="Prompts")["EndpointConfigName"] == "c"


ARN = "arn:aws:sagemaker:eu-west-1:123456789012"
CONTAINER = {"Image": IMAGE}
VARIANT = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
# operation, its arguments; the sentence. There are a model m, a configuration c and an endpoint Prompts.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("create_model", {"ModelName": "M", "PrimaryContainer": CONTAINER}, f'Cannot create already existing model "{ARN}:model/m".'),
    (
        "create_endpoint_config",
        {"EndpointConfigName": "c", "ProductionVariants": [VARIANT]},
        f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/c".',
    ),
    (
        "create_endpoint",
        {"EndpointName": "prompts", "EndpointConfigName": "c"},
        f'Cannot create already existing endpoint "{ARN}:endpoint/prompts".',
    ),
    ("create_endpoint", {"EndpointName": ENDPOINT, "EndpointConfigName": "c"}, "Cannot create already existing endpoint"),
    ("create_model", {"ModelName": ENDPOINT, "PrimaryContainer": CONTAINER}, "Cannot create already existing model"),
    ("create_endpoint", {"EndpointName": "e", "EndpointConfigName": "x"}, f'Could not find endpoint configuration "{ARN}:endpoint-config/x".'),
    (
        "create_endpoint_config",
        {"EndpointConfigName": "d", "ProductionVariants": [{**VARIANT, "ModelName": "x"}]},
        f'Could not find model "{ARN}:model/x".',
    ),
    ("describe_model", {"ModelName": "x"}, f'Could not find model "{ARN}:model/x".'),
    ("delete_model", {"ModelName": "x"}, "Could not find model"),
    ("delete_endpoint_config", {"EndpointConfigName": "x"}, "Could not find endpoint configuration"),
    ("delete_endpoint", {"EndpointName": "x"}, f'Could not find endpoint "{ARN}:endpoint/x".'),
    ("update_endpoint", {"EndpointName": "x", "EndpointConfigName": "c"}, "Could not find endpoint"),
    ("delete_endpoint", {"EndpointName": ENDPOINT}, f'Cannot change endpoint "{ARN}:endpoint/{ENDPOINT}": it is what puna was started with'),
    ("update_endpoint", {"EndpointName": ENDPOINT, "EndpointConfigName": "c"}, "it is what puna was started with"),
    ("delete_endpoint_config", {"EndpointConfigName": ENDPOINT}, "it is what puna was started with"),
    ("delete_model", {"ModelName": ENDPOINT}, "it is what puna was started with"),
    ("create_model", {"ModelName": "n"}, "puna has one model in one container, but 0 containers came"),
    ("create_model", {"ModelName": "n", "Containers": [CONTAINER, CONTAINER]}, "but 2 containers came"),
    ("create_model", {"ModelName": "n", "PrimaryContainer": {}}, "The container needs an Image."),
    ("create_model", {"ModelName": "n", "PrimaryContainer": {**CONTAINER, "Mode": "MultiModel"}}, "does not offer the Mode MultiModel"),
    ("create_model", {"ModelName": "n", "PrimaryContainer": {"ModelPackageName": "p"}}, "does not offer ModelPackageName"),
    (
        "create_endpoint_config",
        {"EndpointConfigName": "d", "ProductionVariants": [VARIANT, VARIANT]},
        "puna has one variant, but 2 came.",
    ),
    (
        "create_endpoint_config",
        {"EndpointConfigName": "d", "ProductionVariants": [{"VariantName": "v", "ModelName": "m"}]},
        "A variant needs an InstanceType or a ServerlessConfig.",
    ),
    (
        "create_endpoint_config",
        {"EndpointConfigName": "d", "ProductionVariants": [{"VariantName": "v", "InstanceType": "ml.m5.large"}]},
        "puna has no inference components, so a variant needs a ModelName.",
    ),
    (
        "create_endpoint_config",
        {
            "EndpointConfigName": "d", "ProductionVariants": [VARIANT],
            "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://bucket/x"}},
        },
        "puna does not offer AsyncInferenceConfig of CreateEndpointConfig; leave it out.",
    ),
    ("list_models", {"NextToken": "puna-x"}, "Invalid pagination token: it is none that puna gave."),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=[f"{row[0]}-{n}" for n, row in enumerate(REFUSED)])
def test_a_refusal_says_what_aws_says(sagemaker: Any, clock: Clock, row: tuple[str, dict[str, Any], str]) -> None:
    deployed(sagemaker, clock)
    operation, arguments, part = row
    code, sentence = refused(getattr(sagemaker, operation), **arguments)
    assert code == "ValidationException"
    assert part in sentence
    assert status(sagemaker) == status(sagemaker, ENDPOINT) == "InService"


@pytest.mark.parametrize("change", ["create", "update", "delete"])
def test_what_is_in_progress_cannot_be_changed(sagemaker: Any, clock: Clock, change: str) -> None:
    deployed(sagemaker, clock)
    if change == "create":
        endpoint(sagemaker, "e")
    elif change == "update":
        endpoint(sagemaker, "e")
        clock.settle()
        sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="c")
    else:
        endpoint(sagemaker, "e")
        clock.settle()
        sagemaker.delete_endpoint(EndpointName="e")
    wanted = ("ValidationException", f'Cannot update in-progress endpoint "{ARN}:endpoint/e".')
    assert refused(sagemaker.delete_endpoint, EndpointName="e") == wanted
    assert refused(sagemaker.update_endpoint, EndpointName="e", EndpointConfigName="c") == wanted
    if change == "delete":  # a name is free only once its endpoint has gone
        assert "already existing" in refused(sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="c")[1]
        clock.settle()
        endpoint(sagemaker, "e")


def test_lists_are_paged_in_order(sagemaker: Any, clock: Clock) -> None:
    for n in range(12):
        model(sagemaker, f"m{n:02}")
    config(sagemaker, "c", "m00")
    pages = list(sagemaker.get_paginator("list_models").paginate())
    assert [len(page["Models"]) for page in pages] == [10, 3]
    by_name = sagemaker.get_paginator("list_models").paginate(SortBy="Name", SortOrder="Ascending", MaxResults=5)
    names = [found["ModelName"] for page in by_name for found in page["Models"]]
    assert names == [ENDPOINT, *(f"m{n:02}" for n in range(12))]
    assert checked(sagemaker, "list_models", MaxResults=1)["Models"][0]["ModelName"] != ENDPOINT  # the newest first
    found = checked(sagemaker, "list_endpoint_configs", NameContains="c")["EndpointConfigs"]
    assert [each["EndpointConfigName"] for each in found] == ["c"]
    endpoint(sagemaker, "Alpha")
    found = checked(sagemaker, "list_endpoints", SortBy="Status", SortOrder="Ascending")["Endpoints"]
    assert [(each["EndpointName"], each["EndpointStatus"]) for each in found] == [
        ("Alpha", "Creating"),
        (ENDPOINT, "InService"),
    ]
    assert len(checked(sagemaker, "list_endpoints", StatusEquals="InService")["Endpoints"]) == 1


def test_there_are_only_so_many(sagemaker: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "MOST", 2)
    for n in range(2):
        model(sagemaker, f"m{n}")
        config(sagemaker, f"c{n}", "m0")
        endpoint(sagemaker, f"e{n}", "c0")
    for call, arguments in (
        (sagemaker.create_model, {"ModelName": "m2", "PrimaryContainer": CONTAINER}),
        (
            sagemaker.create_endpoint_config,
            {"EndpointConfigName": "c2", "ProductionVariants": [{**VARIANT, "ModelName": "m0"}]},
        ),
        (sagemaker.create_endpoint, {"EndpointName": "e2", "EndpointConfigName": "c0"}),
    ):
        code, sentence = refused(call, **arguments)
        assert (code, sentence[:23]) == (
            "ResourceLimitExceeded",
            "puna keeps at most 2 mo" if "m2" in str(arguments) else sentence[:23],
        )
        assert sentence.endswith("and there are as many; delete one")


def test_an_engine_that_is_away_is_told_of_every_endpoint(sagemaker: Any, live: Live, clock: Clock) -> None:
    deployed(sagemaker, clock)
    live.ready = False
    assert status(sagemaker) == status(sagemaker, ENDPOINT) == "Updating"


def test_another_variant_than_its_own_is_not_found(sagemaker: Any, client: Client, clock: Clock) -> None:
    deployed(sagemaker, clock)
    invoke = client("sagemaker-runtime").invoke_endpoint
    sentence = refused(invoke, EndpointName="Prompts", Body=BODY, TargetVariant="AllTraffic")[1]
    assert sentence == "Variant AllTraffic of endpoint Prompts not found. Its only variant is blue."
    assert (
        "does not offer asynchronous"
        in refused(client("sagemaker-runtime").invoke_endpoint_async, EndpointName="Prompts", InputLocation="s3://b/x")[
            1
        ]
    )


def test_replicas_create_nothing(sagemaker: Any, live: Live, clock: Clock) -> None:
    live.service.deployments.open = False
    try:
        code, sentence = refused(sagemaker.create_model, ModelName="m", PrimaryContainer=CONTAINER)
    finally:
        live.service.deployments.open = True
    assert code == "ValidationException"
    assert "start it without --replicas" in sentence
