"""A condition is one page: told when it begins, kept up while it stands, ended when it is over."""

from __future__ import annotations

from tests.support.memory import ListNotifier
from watchdogd.core.model import PairId
from watchdogd.daemon.alarms import AGAIN_EVERY_S, Alarms
from watchdogd.ports import Notice, Severity

PAIR = PairId("prod")


def notice(key: str, severity: Severity = Severity.PAGE) -> Notice:
    return Notice(pair=PAIR, key=key, severity=severity, summary=key)


def test_a_condition_is_told_once_and_kept_up() -> None:
    notifier, over = ListNotifier(), list[str]()
    alarms = Alarms(PAIR, notifier, lambda pair, key: over.append(key))
    for second in range(int(AGAIN_EVERY_S) + 1):
        alarms.update([notice("S-32")], float(second))
    assert notifier.pages == ("S-32", "S-32")
    assert over == []


def test_a_condition_that_ended_is_ended_and_news_again_when_it_returns() -> None:
    notifier, over = ListNotifier(), list[str]()
    alarms = Alarms(PAIR, notifier, lambda pair, key: over.append(key))
    alarms.update([notice("S-32"), notice("hold")], 0.0)
    alarms.update([notice("hold")], 1.0)
    assert over == ["S-32"]
    assert [one.key for one in alarms.standing] == ["hold"]
    alarms.update([notice("S-32"), notice("hold")], 2.0)
    assert notifier.pages == ("S-32", "hold", "S-32")


def test_a_condition_that_grows_louder_is_told_at_once() -> None:
    notifier = ListNotifier()
    alarms = Alarms(PAIR, notifier, lambda pair, key: None)
    alarms.update([notice("suspect", Severity.WARN)], 0.0)
    alarms.update([notice("suspect", Severity.PAGE)], 1.0)
    assert [one.severity for one in notifier.told] == [Severity.WARN, Severity.PAGE]
