"""The whole life of a failover on three grounds: the lab, real processes of OpenBao, and a licensed Vault Enterprise.

The steps are written once (`tests/support/real_steps.py`). OpenBao has no replication: what needs it is asked for, and
refused there. The third ground was never run against Vault Enterprise: it runs only where two variables name a licensed
one (`make enterprise`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import openbao
from tests.support.licensed import Misconfigured, is_asked_for, licensed
from tests.support.live_pair import ServedWorld
from tests.support.live_stories import innermost
from tests.support.own_venv import NotHere
from tests.support.real_pair import Ground, on_processes, on_the_lab
from tests.support.real_stage import staged
from tests.support.real_steps import STEPS, refused

ENTERPRISE_PATIENCE = 4.0
pytestmark = [
    pytest.mark.real,
    pytest.mark.live,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900 if is_asked_for(os.environ) else 200),
]
Opened = Callable[[Path], AbstractAsyncContextManager[tuple[Ground, ServedWorld]]]


@asynccontextmanager
async def on_openbao(folder: Path) -> AsyncIterator[tuple[Ground, ServedWorld]]:
    binary = await asyncio.to_thread(openbao.binary)
    async with on_processes(folder, binary, has_replication=False) as stands:
        yield stands


@asynccontextmanager
async def on_vault(folder: Path) -> AsyncIterator[tuple[Ground, ServedWorld]]:
    """Never run against Vault Enterprise: what it takes for granted of Enterprise is what the lab was built on."""
    binary = await asyncio.to_thread(licensed, os.environ)
    async with on_processes(folder, binary, has_replication=True, patience=ENTERPRISE_PATIENCE) as stands:
        yield stands


LAB, OPENBAO, VAULT = "lab", "openbao", "vault"
GROUNDS: Mapping[str, Opened] = {
    LAB: on_the_lab,
    OPENBAO: on_openbao,
    **({VAULT: on_vault} if is_asked_for(os.environ) else {}),
}
PROVEN = [(ground, step.name) for ground in GROUNDS for step in STEPS if ground != OPENBAO or not step.needs]
NOT_THERE = [step.name for step in STEPS if step.needs]


class NotReached(Exception):
    """An earlier step failed."""


class Run:
    """One ground, and what came of each step on it."""

    def __init__(self, opened: Opened, folder: Path) -> None:
        self._opened, self._folder = opened, folder
        self._came: Mapping[str, asyncio.Future[None]] = {step.name: asyncio.Future() for step in STEPS}

    async def of(self, step: str) -> None:
        """Returns when the step was played; raises what it raised."""
        await asyncio.shield(self._came[step])

    async def play(self) -> None:
        """Every step in its order, until one fails."""
        (failure,) = await asyncio.gather(self._play(), return_exceptions=True)
        if failure is not None:
            self._fail(innermost(failure) or failure)

    async def _play(self) -> None:
        async with self._opened(self._folder) as (ground, world), staged(ground, world) as stage:
            for step in STEPS:
                is_there = ground.has_replication or not step.needs
                await (step.act(stage) if is_there else refused(stage, step))
                self._came[step.name].set_result(None)

    def _fail(self, exc: BaseException) -> None:
        missing = [name for name, came in self._came.items() if not came.done()]
        for number, name in enumerate(missing):
            self._came[name].set_exception(exc if number == 0 else NotReached(f"because of: {missing[0]}"))
            self._came[name].exception()  # it is looked at, also where no test asks for it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, Run]]:
    """Every ground that a selected test is about, side by side."""
    specs = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    asked_for = {spec.params.get("ground", OPENBAO) for spec in specs if spec is not None}
    runs = {name: Run(GROUNDS[name], tmp_path_factory.mktemp(name)) for name in GROUNDS if name in asked_for}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run.play()) for run in runs.values()]
        yield runs
        for task in tasks:  # not done where the tests stopped early
            task.cancel()


async def came_of(run: Run, step: str) -> None:
    try:
        await run.of(step)
    except NotHere as exc:
        pytest.skip(str(exc))
    except (Misconfigured, NotReached) as exc:
        pytest.fail(str(exc), pytrace=False)


@pytest.mark.parametrize(("ground", "step"), PROVEN)
async def test_a_step_is_proven(played: Mapping[str, Run], ground: str, step: str) -> None:
    await came_of(played[ground], step)


@pytest.mark.parametrize("step", NOT_THERE)
async def test_openbao_refuses_what_it_has_not(played: Mapping[str, Run], step: str) -> None:
    await came_of(played[OPENBAO], step)
