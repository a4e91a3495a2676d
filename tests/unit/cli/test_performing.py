"""How what is played with processes of its own ends: one sentence and one status, whatever was raised."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest

from watchdogd.cli.performing import BROKEN, performed
from watchdogd.rehearsal.processes import Unmet, cause

LOG = Path("lab.log")
NO_ANSWER = aiohttp.ClientError("refused")
ENDED = Unmet("the lab ended by itself", LOG)
MISTAKE = KeyError("seq")


def ended(room: Path, raised: BaseException | None, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool = False) -> int:
    monkeypatch.setattr("tempfile.tempdir", str(room))

    async def play(directory: Path) -> int:
        (directory / "log").mkdir()
        if raised is not None:
            raise raised
        return 0

    return performed("play-", play, within_s=10, is_kept=is_kept, out=sys.stdout)


def test_a_request_that_failed_is_the_cause_only_when_nothing_else_was_raised() -> None:
    assert cause(ExceptionGroup("", [NO_ANSWER, ExceptionGroup("", [ENDED])]), LOG) is ENDED
    assert cause(ExceptionGroup("", [NO_ANSWER, MISTAKE]), LOG) is MISTAKE
    alone = cause(ExceptionGroup("", [NO_ANSWER]), LOG)
    assert isinstance(alone, Unmet)
    assert (alone.sentence, alone.look_at) == ("the lab does not answer: refused", (LOG,))
    nameless = cause(TimeoutError(), LOG)
    assert isinstance(nameless, Unmet)
    assert nameless.sentence == "the lab does not answer: TimeoutError"


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (ENDED, "the lab ended by itself"),
        (ExceptionGroup("", [NO_ANSWER, ENDED]), "the lab ended by itself"),
        (NO_ANSWER, "the lab does not answer: refused"),
        (TimeoutError(), "the lab does not answer: TimeoutError"),
    ],
)
def test_whatever_is_unmet_is_one_sentence_and_the_directory_is_kept(
    raised: Exception,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(tmp_path, raised, monkeypatch) == BROKEN
    (kept,) = tmp_path.iterdir()
    said = capsys.readouterr().out
    assert f"FAILED: {sentence}\n" in said
    assert f"kept: {kept} " in said


def test_what_took_too_long_is_said_with_how_long_it_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def forever(directory: Path) -> int:
        await asyncio.Event().wait()
        return 0

    assert performed("play-", forever, within_s=0.0, is_kept=False, out=sys.stdout) == BROKEN
    assert "FAILED: the whole of it took longer than 0 s" in capsys.readouterr().out


def test_a_mistake_of_ours_is_no_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        ended(tmp_path, ExceptionGroup("", [NO_ANSWER, MISTAKE]), monkeypatch)


def test_nothing_is_kept_of_what_went_well_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(tmp_path, None, monkeypatch) == 0
    assert [*tmp_path.iterdir()] == []
    assert ended(tmp_path, None, monkeypatch, is_kept=True) == 0
    assert len([*tmp_path.iterdir()]) == 1
