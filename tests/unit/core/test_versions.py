"""A secondary that is older than its primary: numbers are compared, and what tells none is neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.pair import Rounds
from watchdogd.core.model import ClusterView
from watchdogd.core.versions import Older, older_follower

*_, (_, FACTS, _) = Rounds().run(100.0)


def running(view: ClusterView, version: str) -> ClusterView:
    assert view.active is not None
    assert view.active.health is not None
    return replace(view, active=replace(view.active, health=replace(view.active.health, version=version)))


@pytest.mark.parametrize(
    ("version", "older"),
    [
        ("1.18.4+ent", Older(version="1.18.4", follows="1.19.0")),
        ("1.9.0", Older(version="1.9.0", follows="1.19.0")),
        ("1.19.0+ent.hsm", None),
        ("1.20.0+ent", None),
        ("", None),
        ("new", None),
    ],
)
def test_the_older_one_is_told_with_both_versions(version: str, older: Older | None) -> None:
    assert older_follower(FACTS.elected, running(FACTS.partner, version)) == older


def test_nothing_is_told_of_a_cluster_that_does_not_follow_or_of_whom_nothing_is_known() -> None:
    partner = running(FACTS.partner, "1.18.4")
    assert older_follower(None, partner) is None
    assert older_follower(FACTS.elected, replace(partner, active=None)) is None
    assert FACTS.elected is not None
    assert older_follower(FACTS.elected, running(FACTS.elected, "1.18.4")) is None
