"""When a token ends is known although the first answer that said so was lost."""

from __future__ import annotations

import pytest

from tests.support.stage import Stage
from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.values import TokenInfo
from watchdogd.core.policy import Timing
from watchdogd.errors import Refusal, Refused
from watchdogd.lab.faults import FaultKind


def ends_told(stage: Stage) -> list[bool]:
    standing = stage.unit.deciding.standing
    assert standing is not None
    return [one.expires_utc_s is not None for one in standing.around.credentials]


async def test_the_end_of_a_token_is_asked_for_until_it_was_answered() -> None:
    async with Stage(timing=Timing()) as stage:
        path = "auth/token/lookup-self"
        stage.fault(FaultKind.REPLY_LOST, "cluster:east", method="GET", path=path, outcome="hang", times=2)
        await stage.run_for(600)
        assert ends_told(stage) == [True, True]


@pytest.mark.parametrize(("kind", "told"), [(Refusal.NOT_YET, [True, True]), (Refusal.DENIED, [False, False])])
async def test_a_primary_that_is_only_busy_is_asked_again_and_one_that_denies_is_not(
    kind: Refusal, told: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup_self, refused = NodeClient.lookup_self, [0]

    async def busy_at_first(client: NodeClient, **given: object) -> TokenInfo:
        refused[0] += 1
        if refused[0] <= 2:
            raise Refused(kind, "a quota, or a policy")
        return await lookup_self(client, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(NodeClient, "lookup_self", busy_at_first)
    async with Stage(timing=Timing()) as stage:
        await stage.run_for(300)
        assert refused[0] >= 2
        assert ends_told(stage) == told
