"""The endpoint: SageMaker Runtime and the container contract over HTTP."""
