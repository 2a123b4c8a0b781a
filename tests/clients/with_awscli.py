"""The AWS command line: whole answers (it has no command that streams), who am I, and its exit status.

python with_awscli.py URL ENDPOINT [DIALECT]
"""

# mypy: disable-error-code="import-not-found"

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import asking


def aws(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The program of this interpreter's environment, else the one on the path."""
    beside = Path(sys.executable).with_name("aws")
    program = str(beside) if beside.exists() else shutil.which("aws")
    if program is None:
        raise asking.failed("aws", "it is neither beside this interpreter nor on the path")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def invoke(endpoint: str, kind: str, folder: Path, **sampling: float) -> "subprocess.CompletedProcess[str]":
    file = folder / "body.json"
    file.write_bytes(asking.payload(kind, **sampling))
    return aws(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", endpoint, "--content-type", "application/json"),
        *("--body", f"fileb://{file}", str(folder / "answer.json")),
    )


def main() -> None:
    _, endpoint, dialect = asking.arguments()
    asking.note(aws("--version").stdout.strip())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in asking.KINDS[dialect]:
            done = invoke(endpoint, kind, folder)
            if done.returncode:
                asking.failed(f"invoke-endpoint {kind}", done.stderr)
            asking.good(f"invoke-endpoint {kind}", asking.text_of_bytes((folder / "answer.json").read_bytes()))
            done = invoke(endpoint, kind, folder, top_p=asking.TOO_MUCH)
            error = RuntimeError(done.stderr.strip())
            asking.refused(f"wrong top_p {kind}", error, done.returncode, must="(ModelError)" in done.stderr)
        done = invoke(asking.NOBODY, "workshop", folder)
        error = RuntimeError(done.stderr.strip())
        asking.refused("no such endpoint", error, done.returncode, must="(ValidationError)" in done.stderr)
    done = aws("sts", "get-caller-identity", "--query", "Arn", "--output", "text")
    asking.good("sts get-caller-identity", done.stdout)


if __name__ == "__main__":
    main()
