"""The SageMaker SDK 2: Predictor, its two iterators of a stream, and its session.

python with_sagemaker2.py URL ENDPOINT [DIALECT]
"""

# mypy: disable-error-code="import-not-found,import-untyped"

import os

import asking


def main() -> None:
    _, endpoint, dialect = asking.arguments()
    os.environ.setdefault("SAGEMAKER_SUPPRESS_V2_WARNING", "1")
    import sagemaker
    from botocore.exceptions import ClientError
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.iterators import ByteIterator, LineIterator
    from sagemaker.predictor import Predictor
    from sagemaker.serializers import JSONSerializer

    asking.note(f"sagemaker {sagemaker.__version__}")
    session = sagemaker.Session()
    how = {"sagemaker_session": session, "serializer": JSONSerializer(), "deserializer": JSONDeserializer()}
    predictor = Predictor(endpoint_name=endpoint, **how)
    several = dialect not in asking.AT_ONCE
    for kind in asking.KINDS[dialect]:
        asking.good(f"predict {kind}", asking.text_of(predictor.predict(asking.body(kind))))
        said = predictor.predict(asking.body(kind), custom_attributes="accept_eula=true", inference_id="one")
        asking.good(f"predict {kind}, attributes and id", asking.text_of(said))
        streamed = asking.body(kind, stream=True)
        parts = predictor.predict_stream(streamed, iterator=ByteIterator)
        asking.good(f"predict_stream {kind}, ByteIterator", asking.texts_of_parts(parts), several=several)
        if several:  # it waits for ever where the last line has no end, as those containers' lines have none
            lines = predictor.predict_stream(streamed, iterator=LineIterator)
            asking.good(f"predict_stream {kind}, LineIterator", list(asking.texts_of_lines(lines)))
        try:
            predictor.predict(asking.body(kind, top_p=asking.TOO_MUCH))
        except session.sagemaker_runtime_client.exceptions.ModelError as error:
            asking.refused(f"wrong top_p {kind}", error, error.response["OriginalStatusCode"])
        else:
            asking.not_refused(f"wrong top_p {kind}")
    try:
        Predictor(endpoint_name=asking.NOBODY, **how).predict({})
    except ClientError as error:
        code = error.response["Error"]["Code"]
        asking.refused("no such endpoint", error, code, must=code == "ValidationError")
    else:
        asking.not_refused("no such endpoint")
    if "BOTOCORE_EXPERIMENTAL__PLUGINS" in os.environ:
        asking.good("get_execution_role", sagemaker.get_execution_role(session))
    else:
        asking.note(
            "-- get_execution_role is not tried: it calls sts.amazonaws.com by name, but for the plugin that puna env sets"
        )


if __name__ == "__main__":
    main()
