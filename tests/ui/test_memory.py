"""What the pages remember of what people change: never longer than a move of ours, and while the database is away."""

from __future__ import annotations

import pytest

from trendcast.errors import DatabaseAway
from trendcast.ui.memory import Recent


def test_an_answer_is_asked_once_until_somebody_moves_something_there() -> None:
    recent, asked = Recent(), iter(["before", "after"])
    assert [recent.get(("inbox", 1), lambda: next(asked)) for _ in range(3)] == ["before"] * 3
    recent.expire("alerts")
    assert recent.get(("inbox", 1), lambda: next(asked)) == "before"
    recent.expire("inbox")
    assert recent.get(("inbox", 1), lambda: next(asked)) == "after"


def test_what_was_asked_before_a_move_is_not_told_after_it() -> None:
    recent = Recent()

    def slow() -> str:
        recent.expire("inbox")  # while the answer is on its way, somebody else moves something
        return "before"

    assert recent.get(("inbox", 1), slow) == "before"
    assert recent.get(("inbox", 1), lambda: "after") == "after"
    assert recent.get(("inbox", 1), lambda: "never asked") == "after"


def test_while_the_database_is_away_the_last_answer_is_told() -> None:
    def away() -> str:
        raise DatabaseAway("It does not answer.")

    recent = Recent()
    with pytest.raises(DatabaseAway):
        recent.get(("inbox", 1), away)
    recent.get(("inbox", 1), lambda: "known")
    recent.expire("inbox")
    assert recent.get(("inbox", 1), away) == "known"
