"""Faults as people type them."""

from __future__ import annotations

import pytest

from watchdogd.lab.fault_shapes import SHAPES
from watchdogd.lab.fault_text import BadFault, duration_s, parse_fault
from watchdogd.lab.faults import CHOICES, Fault, FaultKind
from watchdogd.lab.spec import ClusterSpec, WorldSpec

SPEC = WorldSpec()


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30.0), ("1.5m", 90.0), ("800ms", 0.8), ("2h", 7200.0)])
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["30", "s", "1d", "-1s", "1m30s", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadFault, match="is no duration"):
        duration_s(text)


def test_a_fault_holds_for_as_long_as_it_says_from_now_on() -> None:
    fault = parse_fault(
        "applied_late", "lb:east", spec=SPEC, now_s=100.0, place="clients", for_s=30.0, words=["seconds=0.5", "times=2"]
    )
    assert fault == Fault(
        kind=FaultKind.APPLIED_LATE,
        target="lb:east",
        place="clients",
        until_s=130.0,
        params={"seconds": 0.5, "times": 2.0},
    )


TARGETS = (
    "node:east/3 cluster:west lb:east region:east region:bastion link:clients>east link:east>west repl:east>west "
    "dns dns:ns2 dns:resolver aws"
).split()


@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_of_target_can_be_named(target: str) -> None:
    kind = "dns_dead" if target.startswith("dns") else "drop"
    assert parse_fault(kind, target, spec=SPEC, now_s=0.0).target == target


@pytest.mark.parametrize("kind", FaultKind)
def test_a_kind_is_taken_at_the_targets_of_its_shape_and_at_no_other(kind: FaultKind) -> None:
    shape = SHAPES[kind]
    words = [f"{shape.needs}={CHOICES.get(shape.needs, '1')[0]}"] if shape.needs else []
    taken = set()
    for target in TARGETS:
        try:
            parse_fault(kind, target, spec=SPEC, now_s=0.0, words=words)
        except BadFault as exc:
            assert f"{kind} does nothing at {target}" in str(exc)  # noqa: PT017
        else:
            taken.add(target)
    assert {target.partition(":")[0] for target in taken} == shape.targets
    assert ("region:bastion" in taken) is ("region" in shape.targets and shape.placed)


def test_every_kind_has_a_shape() -> None:
    assert set(SHAPES) == set(FaultKind)
    assert all(1 <= number <= 55 for shape in SHAPES.values() for number in shape.modes)


def test_a_kind_that_has_no_target_in_a_world_says_so() -> None:
    alone = WorldSpec(clusters=(ClusterSpec(name="east"),))
    with pytest.raises(BadFault, match=r"^no target 'foo': one_way has none in this world$"):
        parse_fault("one_way", "foo", spec=alone, now_s=0.0)


def test_a_kind_may_be_written_with_dashes() -> None:
    assert parse_fault("quorum-loss", "cluster:east", spec=SPEC, now_s=0.0).kind is FaultKind.QUORUM_LOSS


@pytest.mark.parametrize(
    ("kind", "target", "place", "words", "said"),
    [
        (
            "crush",
            "node:east/1",
            None,
            (),
            "no fault 'crush': did you mean crash? `watchdogd-lab fault kinds` lists them",
        ),
        ("entropy", "node:east/1", None, (), "no fault 'entropy': `watchdogd-lab fault kinds` lists them"),
        ("crash", "node:east/4", None, (), "one of node:east/1, node:east/2"),
        ("blackout", "east", None, (), "no target 'east': blackout wants one like region:east"),
        ("crash", "", None, (), "no target '': crash wants one like cluster:east or node:east/1 or region:east"),
        ("blackout", "regon:east", None, (), "no target 'regon:east': did you mean region:east"),
        ("dns_dead", "dns:", None, (), "no target 'dns:': one of dns, dns:ns1"),
        ("drop", "link:east>east", None, (), "no target"),
        ("drop", "lb:east", "moon", (), "no place 'moon': one of bastion, clients, interior"),
        ("loss", "lb:east", None, (), "loss needs probability=NUMBER"),
        ("delay", "lb:east", None, ("seconds=long",), "seconds wants a number, not 'long'"),
        ("delay", "lb:east", None, ("second=1",), "no parameter 'second': did you mean seconds? delay takes seconds"),
        ("crash", "lb:east", None, ("second=1",), "crash does nothing at lb:east"),
        ("crash", "node:east/1", None, ("second=1",), "no parameter 'second': crash takes no parameter"),
        ("reply_lost", "cluster:east", None, ("outcome=answer",), "outcome is hang or reset"),
        ("seal", "dns", None, (), "seal does nothing at dns: it wants cluster or node or region"),
        ("lb_5xx", "aws", None, (), "lb_5xx does nothing at aws: it wants lb"),
        ("crash", "repl:east>west", None, (), "crash does nothing at repl:east>west"),
        ("crash", "region:bastion", None, (), "crash does nothing at region:bastion"),
        ("lb_rule", "lb:east", None, ("rule=luck",), "rule is standbyok or drsecondarycode or tcp"),
        ("lb_rule", "lb:east", None, (), "lb_rule needs rule=TEXT"),
        ("crash", "node:east/1", "clients", (), "crash is the same for everybody: it takes no place"),
        ("loss", "lb:east", None, ("probability=2",), "probability of loss is a number from 0 to 1, not 2"),
        ("loss", "lb:east", None, ("probability=nan",), "probability of loss is a number from 0 to 1, not nan"),
        ("lb_5xx", "lb:east", None, ("status=9999",), "status of lb_5xx is a whole number from 200 to 599, not 9999"),
        ("delay", "lb:east", None, ("seconds=-3",), "seconds of delay is a number from 0 on, not -3"),
        ("delay", "lb:east", None, ("seconds=inf",), "seconds of delay is a number from 0 on, not inf"),
        ("aws_throttle", "aws", None, ("times=-1",), "times of aws_throttle is a whole number from 1 on, not -1"),
        ("aws_throttle", "aws", None, ("times=1.5",), "times of aws_throttle is a whole number from 1 on, not 1.5"),
        ("flap", "cluster:east", None, ("every_s=0",), "every_s of flap is a number from 0.1 on, not 0"),
        ("clock_skew", "node:east/1", None, ("seconds=inf",), "seconds of clock_skew is a number, not inf"),
        ("crash", "node:east/1", None, ("seconds=3",), "crash does nothing with seconds: it takes no parameter"),
    ],
)
def test_what_would_do_nothing_is_refused_with_what_would(
    kind: str, target: str, place: str | None, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(BadFault) as info:
        parse_fault(kind, target, spec=SPEC, now_s=0.0, place=place, words=words)
    assert said in str(info.value)


def test_a_clock_may_be_slow() -> None:
    skew = parse_fault("clock_skew", "node:east/1", spec=SPEC, now_s=0.0, words=["seconds=-3"])
    assert skew.params == {"seconds": -3.0}
