"""What the status page is sent."""

from __future__ import annotations

from watchdogd.core.explain import Shape
from watchdogd.daemon.status import _as_typed


def test_what_is_said_to_type_asks_at_the_socket_of_this_daemon_and_what_people_said_stays() -> None:
    typed, told = "watchdogctl ack --reason '...'", "watchdogctl --socket /tmp/w.sock ack --reason '...'"
    said: Shape = {"notices": [{"command": typed, "summary": typed}], "hold": typed, "would_act_when": [f"or {typed}"]}
    assert _as_typed(said, "/tmp/w.sock") == {
        "notices": [{"command": told, "summary": typed}],
        "hold": typed,
        "would_act_when": [f"or {told}"],
    }
    assert _as_typed(said, "/run/watchdogd/control.sock") == said
