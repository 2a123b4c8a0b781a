"""aiobotocore: whole, streamed, and its exceptions.

python with_aiobotocore.py URL ENDPOINT [DIALECT]
"""

# mypy: disable-error-code="import-not-found,import-untyped"

import asyncio
from importlib.metadata import version

import asking
from aiobotocore.session import get_session


async def main() -> None:
    _, endpoint, dialect = asking.arguments()
    asking.note(f"aiobotocore {version('aiobotocore')}")
    session = get_session()
    async with session.create_client("sagemaker-runtime") as runtime:
        for kind in asking.KINDS[dialect]:
            whole = await runtime.invoke_endpoint(
                EndpointName=endpoint, ContentType="application/json", Body=asking.payload(kind)
            )
            asking.good(f"invoke_endpoint {kind}", asking.text_of_bytes(await whole["Body"].read()))
            streamed = await runtime.invoke_endpoint_with_response_stream(
                EndpointName=endpoint, ContentType="application/json", Body=asking.payload(kind, stream=True)
            )
            parts = [event["PayloadPart"]["Bytes"] async for event in streamed["Body"]]
            what = f"invoke_endpoint_with_response_stream {kind}"
            asking.good(what, asking.texts_of_parts(parts), several=dialect not in asking.AT_ONCE)
            wrong = asking.payload(kind, top_p=asking.TOO_MUCH)
            for call in (runtime.invoke_endpoint, runtime.invoke_endpoint_with_response_stream):
                try:
                    await call(EndpointName=endpoint, Body=wrong)
                except runtime.exceptions.ModelError as error:
                    asking.refused(f"wrong top_p {kind}", error, error.response["OriginalStatusCode"])
                else:
                    asking.not_refused(f"wrong top_p {kind}")
        try:
            await runtime.invoke_endpoint(EndpointName=asking.NOBODY, Body=b"{}")
        except runtime.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            asking.refused("no such endpoint", error, code, must=code == "ValidationError")
        else:
            asking.not_refused("no such endpoint")


if __name__ == "__main__":
    asyncio.run(main())
