"""Other eyes on the elected cluster: a command, or a third cluster that replicates from it (DESIGN section 4)."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress

from watchdogd.adapters.fence import SAFE_PATH
from watchdogd.core.link import Hears, LinkWatch
from watchdogd.core.model import ClusterId, PairId, Pins, Replication
from watchdogd.core.policy import Timing
from watchdogd.core.readings import read
from watchdogd.core.views import view_of
from watchdogd.daemon.gear import ProbeRound, Sighting
from watchdogd.ports import Clock

REAPED_S_MAX = 1.0  # a killed process that the kernel still holds is waited for no longer


class ExecWitness:
    """A command told pair and cluster in its environment: exit 0 means it sees the cluster, anything else nothing."""

    def __init__(self, *, pair: PairId, argv: Sequence[str], timeout_s: float) -> None:
        self._pair = pair
        self._argv = tuple(argv)
        self._timeout_s = timeout_s

    async def __call__(self, cluster: ClusterId) -> Sighting:
        """Ask once; bounded; never raises."""
        environment = {"PATH": SAFE_PATH, "WATCHDOGD_PAIR": self._pair, "WATCHDOGD_CLUSTER": cluster}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            return Sighting(sees=False, why=f"could not be started: {exc}")
        try:
            async with asyncio.timeout(self._timeout_s):
                return _said(await process.wait())
        except TimeoutError:
            return Sighting(sees=False, why=f"no answer within {self._timeout_s:g} s")
        finally:
            await _end(process)


def _said(exit_status: int) -> Sighting:
    match exit_status:
        case 0:
            return Sighting(sees=True, why="exit 0")
        case 1:
            return Sighting(sees=False)
        case _:
            return Sighting(sees=False, why=f"exit {exit_status}: it says nothing")


async def _end(process: Process) -> None:
    """Stop what the command started, and the command while it still runs: asked for ever, they would pile up.

    The kernel gives the number of a group to nobody else while one of it lives. What began a session of its own has
    left the group, and stays.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is not None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(REAPED_S_MAX):
            await process.wait()


class VaultWitness:
    """A third cluster: what its active node heard of the primary, compared with what the same node said before."""

    def __init__(
        self,
        *,
        name: str,
        probes: Sequence[ProbeRound],
        pins: Pins,
        kind: Replication,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._name = ClusterId(name)
        self._probes = tuple(probes)
        self._pins = pins
        self._kind = kind
        self._timing = timing
        self._clock = clock
        self._link = LinkWatch()

    async def __call__(self, cluster: ClusterId) -> Sighting:
        """One round of its nodes; bounded by the probe's time-out; never raises."""
        timing = self._timing
        async with asyncio.TaskGroup() as tasks:
            rounds = [tasks.create_task(probe(timing.probe_timeout_s)) for probe in self._probes]
        now_s = self._clock.now_s()
        view = view_of(
            self._name,
            [read(task.result(), self._pins) for task in rounds],
            kind=self._kind,
            expected_nodes=len(self._probes),
            sealed_is_down=False,
            at_s=now_s,
        )
        self._link = self._link.observe(view, gap_max_s=timing.gap_max_s)
        heard = self._link.verdict(now_s=now_s, stale_after_s=timing.heartbeat_stale_after_s, fresh_s=timing.fresh_s)
        # A heartbeat counts for three beats: what it tells of the primary's life is as old as it is.
        return Sighting(sees=heard is Hears.SEES, why=heard.value, alive_s=self._link.life_s)
