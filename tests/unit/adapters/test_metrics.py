"""Gauges hold what was set last, however often the same was set before."""

from __future__ import annotations

from watchdogd.adapters.metrics import Metrics

WORDS = ("steady", "suspect", "acting")


def phases(metrics: Metrics, pair: str) -> list[float | None]:
    return [metrics.registry.get_sample_value("watchdogd_phase", {"pair": pair, "phase": word}) for word in WORDS]


def test_a_gauge_shows_the_newest_value_also_one_that_it_had_before() -> None:
    metrics = Metrics()
    for value in (1.0, 1.0, 0.0, 1.0):
        metrics.set("paused", value, "prod")
        assert metrics.registry.get_sample_value("watchdogd_paused", {"pair": "prod"}) == value


def test_exactly_the_word_that_was_chosen_last_is_one_in_each_pair() -> None:
    metrics = Metrics()
    metrics.one_of("phase", "acting", WORDS, "other")
    for chosen in ("steady", "suspect", "suspect", "steady"):
        metrics.one_of("phase", chosen, WORDS, "prod")
        assert phases(metrics, "prod") == [float(word == chosen) for word in WORDS]
    assert phases(metrics, "other") == [0.0, 0.0, 1.0]
