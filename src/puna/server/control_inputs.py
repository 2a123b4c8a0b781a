"""What each operation of SageMaker's control plane takes, as far as puna offers it. A table; knows nothing of what is done with it.

Members, lengths and patterns: botocore 1.44.8, service model of sagemaker 2017-07-24, read 2026-11-29; a test holds the table to whichever
botocore is installed. Of instance types only the pattern is checked: the model names hundreds, and more each month.
"""

from __future__ import annotations

from puna.server.shapes import TIME, Flag, Items, Kept, Members, Number, Pairs, Shape, Text

_NAME = Text(63, r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_MODEL_NAME = Text(63, r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?")
_ROLE = Text(2048, r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+", 20)
_URL = Text(1024, r"(https|s3)://([^/]+)/?(.*)")
_KEY = Text(2048, r"[a-zA-Z0-9:/_-]*")
_TAG_TEXT = r"[^\x00-\x1f]*"
_TAGS = Items(Members({"Key": Text(128, _TAG_TEXT, 1), "Value": Text(256, _TAG_TEXT)}, ("Key", "Value")), 0, 50)

_CONTAINER = Members({
    "ContainerHostname": _NAME,
    "Image": Text(255, r"[\S]+"),
    "ImageConfig": Kept(),
    "Mode": Text(values=("SingleModel", "MultiModel")),
    "ModelDataUrl": _URL,
    "ModelDataSource": Kept(),
    "AdditionalModelDataSources": Items(Kept(), 0, 5),
    "Environment": Pairs(Text(1024, "[a-zA-Z_][a-zA-Z0-9_]*"), Text(1024), 100),
    "ModelPackageName": Text(176, shortest=1),
    "InferenceSpecificationName": Text(63, _NAME.pattern, 1),
    "MultiModelConfig": Kept(),
})  # fmt: skip

_VARIANT = Members({
    "VariantName": _NAME,
    "ModelName": _MODEL_NAME,
    "InitialInstanceCount": Number(1),
    "InstanceType": Text(63, r"ml\.[a-z0-9-]+\.[a-z0-9-]+"),
    "InitialVariantWeight": Number(0, real=True, told="a number"),
    "AcceleratorType": Text(63),
    "CoreDumpConfig": Kept(),
    "ServerlessConfig": Members({
        "MemorySizeInMB": Number(1024, 6144), "MaxConcurrency": Number(1, 200), "ProvisionedConcurrency": Number(1, 200),
    }, ("MemorySizeInMB", "MaxConcurrency")),
    "VolumeSizeInGB": Number(1, 512),
    "ModelDataDownloadTimeoutInSeconds": Number(60, 3600),
    "ContainerStartupHealthCheckTimeoutInSeconds": Number(60, 3600),
    "EnableSSMAccess": Flag(),
    "ManagedInstanceScaling": Kept(),
    "RoutingConfig": Kept(),
    "InferenceAmiVersion": Text(255),
}, ("VariantName",))  # fmt: skip

_LISTED: dict[str, Shape] = {
    "SortOrder": Text(values=("Ascending", "Descending")),
    "NextToken": Text(8192),
    "MaxResults": Number(1, 100),
    "NameContains": Text(63, "[a-zA-Z0-9-]+"),
    "CreationTimeBefore": TIME,
    "CreationTimeAfter": TIME,
}
_BY_TIME = Members({"SortBy": Text(values=("Name", "CreationTime")), **_LISTED})

_STATUSES = ("OutOfService", "Creating", "Updating", "SystemUpdating", "RollingBack", "InService", "Deleting", "Failed",
             "UpdateRollbackFailed")  # fmt: skip

INPUTS = {
    "CreateModel": Members({
        "ModelName": _MODEL_NAME,
        "PrimaryContainer": _CONTAINER,
        "Containers": Items(_CONTAINER, 0, 15),
        "InferenceExecutionConfig": Kept(),
        "ExecutionRoleArn": _ROLE,
        "Tags": _TAGS,
        "VpcConfig": Kept(),
        "EnableNetworkIsolation": Flag(),
    }, ("ModelName",)),
    "DescribeModel": Members({"ModelName": _MODEL_NAME}, ("ModelName",)),
    "ListModels": _BY_TIME,
    "DeleteModel": Members({"ModelName": _MODEL_NAME}, ("ModelName",)),
    "CreateEndpointConfig": Members({
        "EndpointConfigName": _NAME,
        "ProductionVariants": Items(_VARIANT, 1, 10),
        "DataCaptureConfig": Kept(),
        "Tags": _TAGS,
        "KmsKeyId": _KEY,
        "AsyncInferenceConfig": Kept(),
        "ExplainerConfig": Kept(),
        "ShadowProductionVariants": Items(_VARIANT, 1, 10),
        "ExecutionRoleArn": _ROLE,
        "VpcConfig": Kept(),
        "EnableNetworkIsolation": Flag(),
    }, ("EndpointConfigName", "ProductionVariants")),
    "DescribeEndpointConfig": Members({"EndpointConfigName": _NAME}, ("EndpointConfigName",)),
    "ListEndpointConfigs": _BY_TIME,
    "DeleteEndpointConfig": Members({"EndpointConfigName": _NAME}, ("EndpointConfigName",)),
    "CreateEndpoint": Members({
        "EndpointName": _NAME, "EndpointConfigName": _NAME, "DeploymentConfig": Kept(), "Tags": _TAGS,
    }, ("EndpointName", "EndpointConfigName")),
    "DescribeEndpoint": Members({"EndpointName": _NAME}, ("EndpointName",)),
    "ListEndpoints": Members({
        "SortBy": Text(values=("Name", "CreationTime", "Status")),
        **_LISTED,
        "LastModifiedTimeBefore": TIME,
        "LastModifiedTimeAfter": TIME,
        "StatusEquals": Text(values=_STATUSES),
    }),
    "UpdateEndpoint": Members({
        "EndpointName": _NAME, "EndpointConfigName": _NAME, "RetainAllVariantProperties": Flag(),
        "ExcludeRetainedVariantProperties": Items(Kept(), 0, 3), "DeploymentConfig": Kept(), "RetainDeploymentConfig": Flag(),
    }, ("EndpointName", "EndpointConfigName")),
    "DeleteEndpoint": Members({"EndpointName": _NAME}, ("EndpointName",)),
}  # fmt: skip
"""Operation: its members."""

NOT_OFFERED = {
    "CreateModel": ("InferenceExecutionConfig",),
    "CreateEndpointConfig": ("DataCaptureConfig", "AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants"),
    "UpdateEndpoint": ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties"),
}  # fmt: skip
"""Members that would change how the endpoint behaves, and cannot here: refused rather than passed over."""
