"""The verbs of replication in whatever order and with whatever in them: the world answers, and what it shows agrees."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.lab.founding import Founder, founder
from watchdogd.lab.wire import Outcome

PATHS = tuple(
    f"sys/replication/{kind}/{verb}"
    for kind in ("dr", "performance")
    for verb in (
        "primary/enable",
        "primary/disable",
        "primary/demote",
        "primary/secondary-token",
        "primary/revoke-secondary",
        "secondary/enable",
        "secondary/disable",
        "secondary/promote",
        "secondary/update-primary",
        "secondary/generate-public-key",
    )
)
REPAIRS = (
    "sys/replication/recover",
    "sys/replication/reindex",
    "sys/replication/dr/secondary/recover",
    "sys/replication/dr/secondary/reindex",
)
LAST_TOKEN, OPERATION_TOKEN = "<the last activation token>", "<an operation token>"
FIELDS = (
    "token id ttl secondary_public_key primary_cluster_addr update_primary_addrs dr_operation_token force "
    "primary_api_addr"
).split()
ADDRESS = st.sampled_from(["https://127.3.1.1:8201", "https://127.3.2.1:8201", "https://127.9.9.9:8201", ""])
SCALAR = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | ADDRESS
VALUE = SCALAR | st.lists(SCALAR, max_size=3) | st.sampled_from(["w1", LAST_TOKEN, OPERATION_TOKEN])
STEP = st.tuples(
    st.sampled_from((*PATHS, *REPAIRS)),
    st.dictionaries(st.sampled_from(FIELDS), VALUE, max_size=5),
    st.sampled_from(["east/1", "west/1", "west/2"]),
    st.sampled_from(["east", "west", ""]),
    st.integers(1, 12),
)


def agrees(f: Founder) -> None:
    """A link that is ready is one set with its primary, which knows the id; a disabled cluster shows nothing more."""
    for name, kind in product(("east", "west"), ("dr", "performance")):
        said = f.a.ask(f"{name}/1", f"sys/replication/{kind}/status")
        if said.exchange.outcome is not Outcome.ANSWER or said.exchange.status != 200:
            continue
        shown, cluster = said.data, f.a.world.clusters[name]
        assert shown["mode"] in ("primary", "secondary") or shown == {"mode": "disabled"}
        if cluster.is_dr_secondary:
            assert cluster.roles["performance"].mode == "disabled"
        link = cluster.roles[kind].link
        if shown.get("connection_state") == "ready":
            role = f.a.world.clusters[link.primary].roles[kind]
            assert (role.set_id, role.known_secondaries[shown["secondary_id"]]) == (shown["cluster_id"], name)
        if shown.get("state") == "stream-wals" and link.broken_s is None:
            assert link.position <= f.a.world.clusters[link.primary].store.end


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=10), st.booleans())
def test_the_verbs_of_a_life_come_in_any_order(
    steps: list[tuple[str, dict[str, object], str, str, int]], is_pair: bool
) -> None:
    f = founder()
    if is_pair:
        f.make_a_pair()
    known: dict[object, str] = {LAST_TOKEN: "none yet", OPERATION_TOKEN: "none yet"}
    for path, body, target, whose, pause_s in steps:
        west = f.a.world.clusters["west"]
        if (
            is_pair
            and west.is_dr_secondary
            and west.serving() is not None
            and west.keys == f.a.world.clusters["east"].keys
        ):
            known[OPERATION_TOKEN] = f.operation_token("west")
        filled = {name: known.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
        said = f.a.post(target, path, filled, token=f.has[whose].root if whose else "")
        if path.endswith("secondary-token") and said.exchange.outcome is Outcome.ANSWER and said.status == 200:
            told = said.json
            known[LAST_TOKEN] = told["data"]["token"] if told["data"] else told["wrap_info"]["token"]
        f.a.wait(pause_s)
        agrees(f)
        assert f.a.world.crashed == []
