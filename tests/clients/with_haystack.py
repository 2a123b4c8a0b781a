"""amazon-sagemaker-haystack: SagemakerGenerator, which does not stream.

python with_haystack.py URL ENDPOINT [DIALECT]
"""

# mypy: disable-error-code="import-not-found,import-untyped"

import os
from importlib.metadata import version

import asking


def main() -> None:
    _, endpoint, dialect = asking.arguments()
    os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
    from botocore.exceptions import ClientError
    from haystack_integrations.components.generators.amazon_sagemaker import SagemakerGenerator

    asking.note(
        f"amazon-sagemaker-haystack {version('amazon-sagemaker-haystack')}, haystack-ai {version('haystack-ai')}"
    )
    if dialect != "jumpstart":
        generator = SagemakerGenerator(model=endpoint)
        asking.good("SagemakerGenerator.run", generator.run(asking.PROMPT)["replies"], several=False)
    sampling = {"max_new_tokens": 32, "temperature": 0.5, "top_p": 0.9, "return_full_text": False}
    generator = SagemakerGenerator(
        model=endpoint, aws_custom_attributes={"accept_eula": True}, generation_kwargs=sampling
    )
    asking.good("SagemakerGenerator.run, all settings", generator.run(asking.PROMPT)["replies"], several=False)
    try:
        generator.run(asking.PROMPT, generation_kwargs={"top_p": asking.TOO_MUCH})
    except ClientError as error:
        code = error.response["Error"]["Code"]
        asking.refused("wrong top_p", error, code, must=code == "ModelError")
    else:
        asking.not_refused("wrong top_p")
    try:
        SagemakerGenerator(model=asking.NOBODY).run("Hi")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        asking.refused("no such endpoint", error, code, must=code == "ValidationError")
    else:
        asking.not_refused("no such endpoint")


if __name__ == "__main__":
    main()
