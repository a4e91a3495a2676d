from __future__ import annotations

from watchdogd.lab.transcript import Transcript


def test_what_came_since_is_told_also_of_a_transcript_that_is_full() -> None:
    transcript = Transcript(lines_max=3)
    for number in range(5):
        noted = transcript.noted
        transcript.note(float(number), "east/1 active")
        assert transcript.after(noted) == [f"t={number}.000 east/1 active"]
    assert transcript.after(0) == [*transcript] == [f"t={number}.000 east/1 active" for number in (2, 3, 4)]
    assert transcript.after(transcript.noted) == []
