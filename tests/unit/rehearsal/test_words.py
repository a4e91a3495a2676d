"""What people are told, on one line of a story: sentences, of which each ends before the next begins."""

from __future__ import annotations

from watchdogd.rehearsal.words import line_of_notice, line_of_todo


def test_a_page_is_told_in_sentences_and_with_what_is_to_be_done() -> None:
    details = ("gate loss is closed: 90 s", "it has said why.")
    line, more = line_of_notice("page", "S-32", "S-32 a gate is closed", details, "watchdogctl failover west")
    assert line == "page S-32"
    assert more == (
        "S-32 a gate is closed. gate loss is closed: 90 s. it has said why. to do: watchdogctl failover west"
    )


def test_a_line_of_one_sentence_needs_no_full_stop() -> None:
    assert line_of_notice("info", "prod-4-failover:done", "west is primary", (), "") == (
        "warn failover.done", "west is primary",
    )  # fmt: skip


def test_the_gates_that_hold_a_decision_are_a_list() -> None:
    assert line_of_todo("failover", "go", ("loss", "level")) == (
        "decision failover blocked", "gate loss closed, gate level closed",
    )  # fmt: skip
    assert line_of_todo(None, "wait", ()) == ("decision nothing wait", "")
