"""A lab on loopback sockets that is served by a thread of its own, for tests that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from watchdogd.lab.knobs import Knobs
from watchdogd.lab.serve import ServedLab, Settings
from watchdogd.lab.serve_up import running
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Place
from watchdogd.rehearsal.free_ports import free_port

EPOCH_UTC_S, START_S, POLL_S = 1_795_315_464.0, 20.0, 0.02
QUICK = Knobs(promote_s=0.1, demote_s=0.1, latency_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Where it is, and what is in it. Its world belongs to the thread: look, and change nothing."""

    lab: ServedLab
    directory: Path

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    def address(self, target: str) -> tuple[str, int]:
        """Host and port of a target as the bastion sees it."""
        spec = self.lab.settings.spec
        return spec.ip(Place.BASTION, target), spec.port


@contextmanager
def served_lab(directory: Path, knobs: Knobs = QUICK) -> Iterator[Background]:
    """A lab that answers while the block runs."""
    spec = WorldSpec(port=free_port(), knobs=knobs)
    settings = Settings(spec=spec, seed=1, epoch_utc_s=EPOCH_UTC_S, directory=directory)
    is_up, is_over, labs = threading.Event(), threading.Event(), list[ServedLab]()

    async def serve() -> None:
        try:
            async with running(settings) as (lab, _):
                labs.append(lab)
                is_up.set()
                while not is_over.is_set():
                    await asyncio.sleep(POLL_S)
        finally:
            is_up.set()

    with ThreadPoolExecutor(max_workers=1) as pool:
        served = pool.submit(lambda: asyncio.run(serve()))
        try:
            assert is_up.wait(START_S)
            if not labs:
                served.result()  # raises what stopped it
            yield Background(lab=labs[0], directory=directory)
        finally:
            is_over.set()
    served.result()
