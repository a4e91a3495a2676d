"""Notices: told once per condition, kept, counted."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import structlog
from structlog.testing import LogCapture

from tests.support.entries import PAIR
from tests.support.memory import HandClock
from watchdogd.adapters import notify
from watchdogd.adapters.notify import LogNotifier
from watchdogd.core.model import PairId
from watchdogd.ports import Notice, Severity

PAGE = Notice(pair=PAIR, key="lost_sight", severity=Severity.PAGE, summary="we lost our path to east", details=("d",))


@pytest.fixture
def log() -> LogCapture:
    return LogCapture()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def notifier(log: LogCapture, clock: HandClock) -> LogNotifier:
    return LogNotifier(clock, structlog.wrap_logger(None, processors=[log]))


def test_a_page_is_logged_as_an_error_with_all_that_a_human_needs(notifier: LogNotifier, log: LogCapture) -> None:
    notifier.tell(replace(PAGE, command="watchdogctl ack prod"))
    assert log.entries == [
        {
            "event": "notice_told",
            "log_level": "error",
            "pair": "prod",
            "key": "lost_sight",
            "severity": "page",
            "why": "we lost our path to east",
            "details": ["d"],
            "command": "watchdogctl ack prod",
        }
    ]


@pytest.mark.parametrize(("severity", "level"), [(Severity.WARN, "warning"), (Severity.INFO, "info")])
def test_what_is_no_page_is_logged_more_quietly(
    notifier: LogNotifier, log: LogCapture, severity: Severity, level: str
) -> None:
    notifier.tell(replace(PAGE, severity=severity))
    assert [entry["log_level"] for entry in log.entries] == [level]


def test_the_same_condition_again_is_counted_and_kept_but_not_news(
    notifier: LogNotifier, log: LogCapture, clock: HandClock
) -> None:
    for minute in range(60):
        notifier.tell(replace(PAGE, summary=f"we lost our path to east {minute} min ago"))
        clock.at_s += 60.0
    (told,) = notifier.told
    assert (told.count, told.notice.summary) == (60, "we lost our path to east 59 min ago")
    assert (told.last_utc - told.first_utc).total_seconds() == 59 * 60
    assert len(log.entries) == 1
    assert notifier.news == {Severity.PAGE: 1}


def test_a_condition_that_was_over_is_news_again(notifier: LogNotifier, log: LogCapture, clock: HandClock) -> None:
    notifier.tell(PAGE)
    clock.at_s += notify.RENEW_AFTER_S + 1
    notifier.tell(PAGE)
    notifier.clear(PAIR, "lost_sight")
    notifier.clear(PAIR, "lost_sight")
    assert notifier.told == ()
    notifier.tell(PAGE)
    assert len(log.entries) == 3


def test_a_condition_that_grows_worse_is_news(notifier: LogNotifier, log: LogCapture) -> None:
    notifier.tell(replace(PAGE, severity=Severity.WARN))
    notifier.tell(PAGE)
    assert [entry["severity"] for entry in log.entries] == ["warn", "page"]
    assert len(notifier.told) == 1


def test_pairs_and_keys_are_told_apart(notifier: LogNotifier, log: LogCapture) -> None:
    notifier.tell(PAGE)
    notifier.tell(replace(PAGE, pair=PairId("test")))
    notifier.tell(replace(PAGE, key="lagging"))
    assert len(log.entries) == len(notifier.told) == 3


def test_only_so_many_are_kept_and_the_stalest_goes_first(notifier: LogNotifier) -> None:
    notifier.tell(PAGE)
    for number in range(notify.KEPT_MAX):
        if number == 5:
            notifier.tell(PAGE)
        notifier.tell(replace(PAGE, key=f"key-{number}"))
    kept = [told.notice.key for told in notifier.told]
    assert len(kept) == notify.KEPT_MAX
    assert "lost_sight" in kept
    assert "key-0" not in kept


def test_a_page_is_kept_even_when_nobody_reads_the_log(clock: HandClock) -> None:
    closed = io.StringIO()
    closed.close()
    notifier = LogNotifier(
        clock, structlog.wrap_logger(structlog.PrintLogger(closed), processors=[structlog.processors.JSONRenderer()])
    )
    notifier.tell(PAGE)
    assert [told.notice for told in notifier.told] == [PAGE]
