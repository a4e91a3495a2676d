"""What a look says of the end of a step."""

from __future__ import annotations

from enum import StrEnum

from watchdogd.core.model import ClusterView, Mode


class Done(StrEnum):
    """Whether the end of a step is seen."""

    YES = "yes"
    NO = "no"  # seen not to be so
    CANNOT_SEE = "cannot_see"


def is_primary(view: ClusterView) -> Done:
    """What the cluster's own active node says of itself."""
    if view.is_active_primary:
        return Done.YES
    return Done.NO if view.is_active_secondary else Done.CANNOT_SEE


def has_left_secondary(view: ClusterView) -> Done:
    """As `is_primary`, and YES too where it is seen to be something else, or shows ids that are not its own."""
    if view.is_active_secondary:
        return Done.NO
    return Done.YES if view.wrong or view.mode is not Mode.UNKNOWN else Done.CANNOT_SEE
