"""One JSON object a line; where journald reads them, with the priority that it takes off again."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from watchdogd.adapters.logs import configure_logs


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[TextIO]:
    """What standard error is connected to."""
    before = structlog.get_config()
    with (tmp_path / "stderr").open("w+", encoding="utf-8") as file:
        yield file
    structlog.configure(**before)


def written(stream: TextIO) -> list[str]:
    stream.flush()
    stream.seek(0)
    return stream.read().splitlines()


@pytest.mark.parametrize(("level", "priority"), [("critical", 2), ("error", 3), ("warning", 4), ("info", 6)])
def test_where_journald_reads_it_every_line_begins_with_its_priority(stream: TextIO, level: str, priority: int) -> None:
    status = os.fstat(stream.fileno())
    configure_logs(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    getattr(structlog.get_logger(), level)("decision", pair="prod")
    (line,) = written(stream)
    assert line.startswith(f"<{priority}>{{")
    assert json.loads(line.removeprefix(f"<{priority}>"))["level"] == level


@pytest.mark.parametrize("journal", ["", "1:2", "nonsense"])
def test_elsewhere_a_line_is_nothing_but_json(stream: TextIO, journal: str) -> None:
    """Also where systemd started whoever started us: $JOURNAL_STREAM is inherited, our standard error is a file."""
    configure_logs(stream, {"JOURNAL_STREAM": journal} if journal else {})
    structlog.get_logger().info("decision", pair="prod")
    (line,) = written(stream)
    assert json.loads(line)["event"] == "decision"


def test_what_is_said_to_type_asks_at_the_socket_of_this_daemon_and_what_people_said_stays(stream: TextIO) -> None:
    configure_logs(stream, {}, "/srv/my lab/w.sock")
    typed, told = "watchdogctl ack --reason '...'", "watchdogctl --socket '/srv/my lab/w.sock' ack --reason '...'"
    structlog.get_logger().info("notice_told", command=typed, details=[f"or {typed}", 3], why=typed)
    structlog.get_logger().info("fence", command=["/bin/fence", "on"], details=None)
    notice, fence = map(json.loads, written(stream))
    assert (notice["command"], notice["details"], notice["why"]) == (told, [f"or {told}", 3], typed)
    assert (fence["command"], fence["details"]) == (["/bin/fence", "on"], None)


def test_a_stream_without_a_file_is_no_journal() -> None:
    before, stream = structlog.get_config(), io.StringIO()
    try:
        configure_logs(stream, {"JOURNAL_STREAM": "1:2"})
        structlog.get_logger().info("decision")
    finally:
        structlog.configure(**before)
    assert json.loads(stream.getvalue())["event"] == "decision"
