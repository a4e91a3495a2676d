"""What a person asks Vault in a scenario is not the daemon's doing."""

from __future__ import annotations

from watchdogd.lab.scenario_file import parse_scenarios
from watchdogd.rehearsal.by_hand import promotes
from watchdogd.rehearsal.play import play

PROMOTED_AGAIN = """
title = "promoted-again"
stands_for = "A region is lost, the daemon promotes the other; somebody demotes that one and promotes it again."
until = "100s"
[budget]
no_primary_s = 50
name_at_non_primary_s = 15
[[fault]]
at = "16s"
kind = "crash"
target = "region:east"
[[act]]
at = "58s"
do = "pause"
[[act]]
at = "60s"
do = "demote"
cluster = "west"
[[act]]
at = "66s"
do = "ask"
target = "west"
path = "sys/replication/dr/secondary/promote"
body = { dr_operation_token = "$dr_token_b" }
answers = 200
[[expect]]
at = "end"
promotes = 2
"""


async def test_a_promote_that_a_person_asks_for_is_none_of_the_daemon() -> None:
    played = await play(parse_scenarios(PROMOTED_AGAIN)[0])
    assert played.has_held, str(played)
    assert [(line.text, line.more) for line in promotes(played.story)] == [
        ("reply 200 POST sys/replication/dr/secondary/promote", "cluster=west")
    ]
