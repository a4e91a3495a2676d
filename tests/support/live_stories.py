"""Stories that take half a minute each, told side by side: each in a world of its own, one test for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

Story = Callable[[Path], Awaitable[None]]
Told = Mapping[str, "asyncio.Task[BaseException | None]"]

STAGGER_S = 2.0  # what a start of the daemon costs a core; all at once would make a lab's answers late


def names_asked_for(request: pytest.FixtureRequest) -> set[str]:
    """The stories that the selected tests of this module are about, by their one parameter."""
    ours = [item for item in request.session.items if item.path == request.path]
    params = [getattr(item, "callspec", None) for item in ours]
    return {str(value) for param in params if param is not None for value in param.params.values()}


@asynccontextmanager
async def told_together(
    stories: Mapping[str, Story], asked_for: set[str], folder: Callable[[str], Path]
) -> AsyncIterator[Told]:
    """Begin every story that is asked for; each task ends with what its story raised, or None. All have ended after."""
    async with asyncio.TaskGroup() as tasks:
        chosen = {name: story for name, story in stories.items() if name in asked_for}
        yield {
            name: tasks.create_task(_told(story, folder(f"w{number}"), number * STAGGER_S), name=name)
            for number, (name, story) in enumerate(chosen.items())
        }


async def _told(story: Story, folder: Path, after_s: float) -> BaseException | None:
    await asyncio.sleep(after_s)
    (result,) = await asyncio.gather(_as_coroutine(story, folder), return_exceptions=True)
    return innermost(result)


def innermost(failure: BaseException | None) -> BaseException | None:
    """What went wrong, without the task groups around it where it was only one thing."""
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure


async def _as_coroutine(story: Story, folder: Path) -> None:
    await story(folder)
