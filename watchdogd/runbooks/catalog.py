"""Every runbook that can be run: the only registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from watchdogd.core.entries import Runbook
from watchdogd.runbooks.cutover_dns import CUTOVER_DNS
from watchdogd.runbooks.failover import FAILOVER
from watchdogd.runbooks.release_fence import RELEASE_FENCE
from watchdogd.runbooks.roll_back import ROLL_BACK
from watchdogd.runbooks.settle_debt import SETTLE_DEBT
from watchdogd.runbooks.step import Procedure

PROCEDURES: Mapping[Runbook, Procedure] = MappingProxyType(
    {
        Runbook.FAILOVER: FAILOVER,
        Runbook.SETTLE_DEBT: SETTLE_DEBT,
        Runbook.CUTOVER_DNS: CUTOVER_DNS,
        Runbook.ROLL_BACK: ROLL_BACK,
        Runbook.RELEASE_FENCE: RELEASE_FENCE,
    }
)
