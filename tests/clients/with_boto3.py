"""boto3: whole, streamed, and its exceptions.

python with_boto3.py URL ENDPOINT [DIALECT]
"""

# mypy: disable-error-code="import-not-found"

import asking
import boto3


def main() -> None:
    _, endpoint, dialect = asking.arguments()
    asking.note(f"boto3 {boto3.__version__}")
    runtime = boto3.client("sagemaker-runtime")
    attributes = asking.EULA if dialect == "jumpstart" else "trace=one"
    for kind in asking.KINDS[dialect]:
        whole = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType="application/json",
            Accept="application/json",
            CustomAttributes=attributes,
            Body=asking.payload(kind),
        )
        asking.good(f"invoke_endpoint {kind}", asking.text_of_bytes(whole["Body"].read()))
        bare = runtime.invoke_endpoint(EndpointName=endpoint, CustomAttributes=attributes, Body=asking.payload(kind))
        asking.good(f"invoke_endpoint {kind}, no ContentType", asking.text_of_bytes(bare["Body"].read()))
        streamed = runtime.invoke_endpoint_with_response_stream(
            EndpointName=endpoint,
            ContentType="application/json",
            CustomAttributes=attributes,
            InferenceId="one",
            Body=asking.payload(kind, stream=True),
        )
        parts = [event["PayloadPart"]["Bytes"] for event in streamed["Body"]]
        what = f"invoke_endpoint_with_response_stream {kind}, {streamed['ContentType']}"
        asking.good(what, asking.texts_of_parts(parts), several=dialect not in asking.AT_ONCE)
        wrong = asking.payload(kind, top_p=asking.TOO_MUCH)
        for call in (runtime.invoke_endpoint, runtime.invoke_endpoint_with_response_stream):
            what = f"{call.__name__} {kind}, wrong top_p"
            try:
                call(EndpointName=endpoint, CustomAttributes=attributes, Body=wrong)
            except runtime.exceptions.ModelError as error:
                said = error.response
                asking.refused(what, error, said["OriginalStatusCode"], said["OriginalMessage"])
            else:
                asking.not_refused(what)
    try:
        runtime.invoke_endpoint(EndpointName=asking.NOBODY, Body=b"{}")
    except runtime.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        asking.refused("no such endpoint", error, code, must=code == "ValidationError")
    else:
        asking.not_refused("no such endpoint")
    asking.note(f"ok get_caller_identity: {boto3.client('sts').get_caller_identity()['Arn']}")


if __name__ == "__main__":
    main()
