"""When our own clocks tell that we cannot be trusted to decide."""

from __future__ import annotations

from watchdogd.daemon.tilt import Clocks, TiltWatch

WINDOW_S = 50.0


def fed(*clocks: tuple[float, float, float]) -> TiltWatch:
    watch = TiltWatch()
    for loop_s, boot_s, utc_s in clocks:
        now = Clocks(loop_s=loop_s, boot_s=boot_s, utc_s=utc_s)
        watch = watch.feed(now, stall_after_s=10.0, divergence_s=2.0, window_s=WINDOW_S, expected_s=1.0)
    return watch


def steady(upto: int, start: int = 0) -> list[tuple[float, float, float]]:
    return [(float(s), float(s), 1000.0 + s) for s in range(start, upto)]


def test_clocks_that_go_together_are_no_tilt() -> None:
    assert fed(*steady(300)).why == ""


def test_a_loop_that_stood_still_is_a_tilt() -> None:
    watch = fed(*steady(5), *steady(31, start=30))
    assert "stood still" in watch.why
    assert watch.until_s == 30.0 + WINDOW_S


def test_a_machine_that_slept_is_a_tilt_even_for_a_few_seconds() -> None:
    # CLOCK_MONOTONIC, the loop's, does not go on while the machine sleeps.
    watch = fed(*steady(5), (5.0, 9.0, 1009.0))
    assert "suspended for 4 s" in watch.why


def test_a_wall_clock_that_is_stepped_is_a_tilt_in_either_direction() -> None:
    assert "+3600.0" in fed(*steady(5), (5.0, 5.0, 4605.0)).why
    assert "-60.0" in fed(*steady(5), (5.0, 5.0, 945.0)).why


def test_a_wall_clock_that_is_slewed_slowly_is_no_tilt() -> None:
    # 500 ppm is the most that ntpd and chrony slew by default.
    assert fed(*((float(s), float(s), 1000.0 + s * 1.0005) for s in range(20_000))).why == ""


def test_a_tilt_is_over_after_one_window_and_a_second_one_counts_again() -> None:
    stalled = [*steady(5), *steady(100, start=30)]
    assert fed(*stalled[: 5 + 49]).why
    assert fed(*stalled).why == ""
    assert fed(*stalled, *steady(301, start=300)).count == 2
