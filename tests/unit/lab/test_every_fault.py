"""Every fault at every target that takes it: the world goes on, answers, and gets well again."""

import pytest

from tests.unit.lab.asking import DR_STATUS, Asker, asker
from tests.unit.lab.test_fault_text import TARGETS
from watchdogd.lab.fault_shapes import SHAPES
from watchdogd.lab.fault_text import parse_fault
from watchdogd.lab.faults import CHOICES, FaultKind
from watchdogd.lab.names import Names
from watchdogd.lab.wire import Place
from watchdogd.lab.zone import Rcode, RecordType


def ask_around(a: Asker, names: Names) -> None:
    for target in ("east/1", "east/lb", "west/2"):
        a.ask(target, "sys/health")
        a.ask(target, DR_STATUS)
        a.write(target, "x")
    for place in (Place.BASTION, Place.CLIENTS):
        names.resolve(names.service_name, RecordType.A, place=place, now_s=a.world.now_s)
    names.published_cluster(a.world.now_s)


@pytest.mark.parametrize("kind", FaultKind)
def test_the_world_goes_on_with_every_fault_and_gets_well_without_it(kind: FaultKind) -> None:
    a, shape = asker(), SHAPES[kind]
    names = Names(a.world.spec, a.world.faults, epoch_utc_s=0.0)
    words = [f"{shape.needs}={CHOICES.get(shape.needs, '1')[0]}"] if shape.needs else []
    targets = [t for t in TARGETS if t.partition(":")[0] in shape.targets and (shape.placed or t != "region:bastion")]
    for target in targets:
        a.world.faults.add(parse_fault(kind, target, spec=a.world.spec, now_s=a.world.now_s, words=words))
        a.wait(1)
        ask_around(a, names)
        a.wait(10)
        ask_around(a, names)
        a.world.faults.clear()
    a.wait(40)
    assert a.world.active_primaries() == ("east",)
    assert [a.write("east/lb", "x").status, a.ask("west/1", "sys/health").status] == [200, 472]
    assert a.ask("west/1", DR_STATUS).data["state"] == "stream-wals"
    answer = names.resolve(names.service_name, RecordType.A, place=Place.CLIENTS, now_s=a.world.now_s).answer
    assert answer is not None
    assert answer.rcode is Rcode.NOERROR
