"""The endpoint as a Ray Serve application: ``serve run puna.deploy:app``, and ``puna serve --replicas N``.

Each replica is what ``puna serve`` runs in one process. Ray is imported when it is needed, not before.
"""

from __future__ import annotations

from puna.deploy.application import app
from puna.deploy.running import run

__all__ = ["app", "run"]
