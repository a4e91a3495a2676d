"""Faults as people type them: `delay lb:east seconds=0.5 --from clients --for 30s`. Pure; refuses what does nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from watchdogd.lab.fault_shapes import SHAPES
from watchdogd.lab.faults import CHOICES, NUMBERS, TEXTS, Fault, FaultKind, number_of
from watchdogd.lab.names import SERVERS
from watchdogd.lab.near_names import did_you_mean
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Place

_UNIT_S: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


class BadFault(ValueError):
    """The words do not describe a fault of this world; the message says what would."""


def duration_s(text: str) -> float:
    """`30s`, `1.5m`, `800ms` in seconds. Raises BadFault."""
    hit = _DURATION.fullmatch(text)
    if hit is None:
        raise BadFault(f"{text!r} is no duration: a number and ms, s, m or h, as in 30s")
    return float(hit[1]) * _UNIT_S[hit[2]]


def kinds() -> str:
    """Every kind of fault with its targets, and below it what it takes, for people."""
    return "\n".join(line for kind in FaultKind for line in _told(kind))


def _told(kind: FaultKind) -> Iterator[str]:
    shape = SHAPES[kind]
    yield f"{kind:<20}{' '.join(sorted(shape.targets))}{' [--from PLACE]' if shape.placed else ''}"
    for name in sorted(shape.params, key=lambda name: (name != shape.needs, name)):
        if name in NUMBERS:
            what = str(number_of(kind, name))
        else:
            what = " or ".join(CHOICES.get(name, ("a text",)))
        yield f"    {name}={what}{', needed' if name == shape.needs else ''}"


def parse_fault(
    kind: str,
    target: str,
    *,
    spec: WorldSpec,
    now_s: float,
    place: str | None = None,
    for_s: float | None = None,
    words: Sequence[str] = (),
) -> Fault:
    """A fault that holds from now on, for `for_s` seconds where that is given. `words` are `name=value`.

    Raises BadFault: unknown kind, a target that this world does not have, a parameter that is unknown or missing.
    """
    known = _known(kind)
    _check_target(known, target, spec)
    _check_kind_at(known, target, spec)
    _check_place(known, place)
    params = dict(_param(known, word) for word in words)
    _check_params(known, params)
    until_s = None if for_s is None else now_s + for_s
    return Fault(kind=known, target=target, place=place, until_s=until_s, params=params)


def _known(kind: str) -> FaultKind:
    try:
        return FaultKind(kind.replace("-", "_"))
    except ValueError:
        raise BadFault(no_fault(kind)) from None


def no_fault(kind: str) -> str:
    """There is none of this kind; and which one was meant, perhaps."""
    return f"no fault {kind!r}: {did_you_mean(kind, FaultKind)}`watchdogd-lab fault kinds` lists them"


def _check_kind_at(kind: FaultKind, target: str, spec: WorldSpec) -> None:
    shape = SHAPES[kind]
    head, _, rest = target.partition(":")
    is_bastion = head == "region" and rest not in {c.in_region for c in spec.clusters}
    if head not in shape.targets or (is_bastion and not shape.placed):
        raise BadFault(f"{kind} does nothing at {target}: it wants {' or '.join(sorted(shape.targets))}")


def _check_place(kind: FaultKind, place: str | None) -> None:
    if place is None:
        return
    if place not in set(Place):
        raise BadFault(f"no place {place!r}: one of {', '.join(Place)}")
    if not SHAPES[kind].placed:
        raise BadFault(f"{kind} is the same for everybody: it takes no place")


def _check_params(kind: FaultKind, params: Mapping[str, str | float]) -> None:
    shape = SHAPES[kind]
    if shape.needs and shape.needs not in params:
        raise BadFault(f"{kind} needs {shape.needs}={'NUMBER' if shape.needs in NUMBERS else 'TEXT'}")
    if useless := sorted(params.keys() - shape.params):
        raise BadFault(f"{kind} does nothing with {', '.join(useless)}: it takes {_takes(kind)}")
    for name, value in params.items():
        if isinstance(value, float) and not (number := number_of(kind, name)).takes(value):
            raise BadFault(f"{name} of {kind} is {number}, not {value:g}")
    for name in params.keys() & CHOICES.keys():
        if params[name] not in CHOICES[name]:
            raise BadFault(f"{name} is {' or '.join(CHOICES[name])}")


def _takes(kind: FaultKind) -> str:
    return ", ".join(sorted(SHAPES[kind].params)) or "no parameter"


def _param(kind: FaultKind, word: str) -> tuple[str, str | float]:
    name, _, value = word.partition("=")
    if name in TEXTS:
        return name, value
    if name not in NUMBERS:
        hint = did_you_mean(name, SHAPES[kind].params)
        raise BadFault(f"no parameter {name!r}: {hint}{kind} takes {_takes(kind)}, as name=value")
    try:
        return name, float(value)
    except ValueError:
        raise BadFault(f"{name} wants a number, not {value!r}") from None


def _check_target(kind: FaultKind, target: str, spec: WorldSpec) -> None:
    """Raises BadFault, naming the targets that may have been meant."""
    targets = _targets(spec)
    head = target.partition(":")[0]
    if head not in targets:
        own = [targets[each] for each in sorted(SHAPES[kind].targets) if targets[each]]
        hint = did_you_mean(target, [one for some in own for one in some])
        like = f"wants one like {' or '.join(some[0] for some in own)}" if own else "has none in this world"
        raise BadFault(f"no target {target!r}: {hint}{kind} {like}")
    if target not in targets[head]:
        raise BadFault(f"no target {target!r}: one of {', '.join(targets[head])}")


def _targets(spec: WorldSpec) -> Mapping[str, Sequence[str]]:
    """Every target of this world, by the word before its colon."""
    clusters = [c.name for c in spec.clusters]
    return {
        "node": [f"node:{t}" for t in spec.targets() if not t.endswith("/lb")],
        "cluster": [f"cluster:{c}" for c in clusters],
        "lb": [f"lb:{c}" for c in clusters],
        "region": [f"region:{r}" for r in (*dict.fromkeys(c.in_region for c in spec.clusters), spec.bastion_region)],
        "link": [f"link:{a}>{b}" for b in clusters for a in [*Place, *clusters] if a != b],
        "repl": [f"repl:{a}>{b}" for a in clusters for b in clusters if a != b],
        "dns": ["dns", *(f"dns:{server}" for server in (*SERVERS, "resolver"))],
        "aws": ["aws"],
    }
