"""An environment for each client, as test_clients.py looks for them: python tests/clients/install.py FOLDER [CLIENT ...]

Without names all are installed: some 2 GB, and llama-index builds a C++ library. What is there already stays as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

JS = "@aws-sdk/client-sagemaker-runtime"

PACKAGES: dict[str, tuple[str, ...]] = {
    "boto3": ("boto3",),
    "aioboto3": ("aioboto3",),
    "aiobotocore": ("aiobotocore",),
    "awscli": ("awscli",),
    "sagemaker2": ("sagemaker<3",),
    "sagemaker3": ("sagemaker>=3",),
    "langchain": ("langchain-aws",),
    "llamaindex": ("llama-index-llms-sagemaker-endpoint",),
    "litellm": ("litellm", "boto3"),
    "haystack": ("amazon-sagemaker-haystack",),
    "openai": ("openai",),
    # pip searches for more than 20 minutes for all that sm-endpoint-bmt names; its runs against an endpoint import these.
    "smbench": ("boto3", "numpy", "tqdm"),
}
ALONE = {"smbench": "sm-endpoint-bmt"}
"""What is installed without its dependencies."""


def install(folder: Path, name: str) -> None:
    """One client's environment, unless it is there."""
    if name == "js":
        if shutil.which("npm") is None:
            print("js: npm is not installed here, so this client is left out")
        elif not (folder / "js" / "node_modules").exists():
            (folder / "js").mkdir(parents=True, exist_ok=True)
            subprocess.run(["npm", "install", "--silent", "--prefix", str(folder / "js"), JS], check=True)
        return
    home = folder / f"venv-{name}"
    if (home / "installed").exists():
        return
    print(f"installing {name}", flush=True)
    venv.create(home, with_pip=True, clear=True)
    pip = [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES[name]], check=True)
    if name in ALONE:
        subprocess.run([*pip, "--no-deps", ALONE[name]], check=True)
    (home / "installed").touch()


def main() -> None:
    """Install what was named, or everything."""
    folder, *names = sys.argv[1:]
    for name in names or ("js", *PACKAGES):
        install(Path(folder), name)


if __name__ == "__main__":
    main()
