"""The endpoint with its playground as ``puna serve`` has them, in a thread, over the storyteller; it can be stopped and started again."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx
import uvicorn

from puna.chat import Spine
from puna.formats import catalog
from puna.formats.counting import PromptCounter
from puna.playground.web import add_to
from puna.server.app import Setup, create_app
from puna.server.auth import Token
from puna.server.invocations import Service
from puna.server.listen import address_of, bind
from puna.server.loading import Late
from tests.server.live import Listening

from .chaos import Chaos, Fault
from .storyteller import WAIT, Storyteller

ENDPOINT = "llama-2-7b"


class Served:
    """A server, and what a test needs of it. home: keeps the sessions. loading: its model is not there until ``load``.

    messages: its engine is a server of its own that takes messages, and tells neither tokens nor probabilities nor its window.
    """

    def __init__(
        self,
        home: Path,
        *,
        context: int = 4096,
        format: str = "llama2",
        token: str | None = None,
        loading: bool = False,
        messages: bool = False,
    ) -> None:
        self.home = home
        self.engine = Storyteller(context=context)
        form = catalog.get(format)
        self._spine = Spine(self.engine, self.engine.info, form, counter=lambda: PromptCounter(form, self.engine.words))
        if messages:
            found = {"server": "stand-in", "logprobs": False}
            self.engine.info = replace(self.engine.info, context=0, slots=0, control=frozenset(), found=found)
            self._spine = Spine(self.engine, self.engine.info, None)
        self._late = Late(self.engine.info)
        if not loading:
            self.load()
        setup = Setup(proofs=(Token(token),) if token else ())
        self.app = create_app(self._late, ENDPOINT, setup)
        self._service: Service = self.app.state.service
        add_to(self.app, self._late, home / "sessions")
        self.chaos = Chaos(self.app)
        self._server: Listening | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.url = ""
        self.start()
        self.http = httpx.Client(
            base_url=self.url,
            timeout=WAIT,
            trust_env=False,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.release()
        self.stop()
        self.http.close()

    @property
    def info(self) -> dict[str, Any]:
        """What the page is told first."""
        return dict(self.http.get("/api/info").json())

    def load(self) -> None:
        """The model is there from now on."""
        self._late.put(self._spine)

    def start(self) -> None:
        """Listen; on the same port again after a stop."""
        bound = bind("127.0.0.1", self._port)
        self.url, self._port = address_of(bound), bound.getsockname()[1]
        config = uvicorn.Config(
            self.chaos,
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = Listening(config)
        self._thread = threading.Thread(target=self._run, args=(self._server, bound), daemon=True)
        self._thread.start()
        assert self._server.listening.wait(WAIT)

    @staticmethod
    def _run(server: Listening, bound: socket.socket) -> None:
        asyncio.run(server.serve(sockets=[bound]))

    def stop(self) -> None:
        """Drop every connection and listen no more."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(WAIT)
        assert not self._thread.is_alive()
        self._server = None

    def reset(self) -> None:
        """As new: nothing runs, nothing is armed, nothing is saved."""
        self.chaos.fault = None
        self.engine.reset()
        shutil.rmtree(self.home / "sessions", ignore_errors=True)

    def fault(self, kind: str, after: int) -> None:
        """Arm a fault of the next stream, after so many records of it."""
        self.chaos.fault = Fault(kind, after)

    def sessions(self) -> list[dict[str, Any]]:
        """What is saved, newest first."""
        return list(self.http.get("/api/sessions").json()["sessions"])

    def saved(self, session: str) -> dict[str, Any]:
        """A saved session."""
        return dict(self.http.get(f"/api/sessions/{session}").json())
