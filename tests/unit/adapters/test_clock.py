"""The clocks of this machine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from watchdogd.adapters.clock import SystemClock, read_boot_id


def test_boottime_never_goes_back_and_the_wall_clock_is_aware_utc() -> None:
    clock = SystemClock()
    first_s = clock.now_s()
    assert clock.now_s() >= first_s > 0
    assert clock.wall_utc().utcoffset() == timedelta(0)


def test_the_boot_id_is_the_same_for_every_process_of_one_boot() -> None:
    assert read_boot_id() == read_boot_id() != ""


def test_a_boot_id_that_cannot_be_read_is_never_equal_to_another(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "garbage").write_bytes(b"\xff\xfe")
    ids = [read_boot_id(tmp_path / name) for name in ("gone", "empty", "garbage", "gone")]
    assert len(set(ids)) == len(ids)
    assert all(ids)
