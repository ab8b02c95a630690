"""Scenarios people keep: what they changed, what it did to a named run, who asked and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast.errors import InvalidInput, NotFound
from trendcast.services.forecast import Selection
from trendcast.services.what_if import Changes

if TYPE_CHECKING:
    from trendcast.services.what_if import Baseline, Scenario
    from trendcast.store.engine import Database

MOST_COMPARED = 4
LONGEST_NAME, LONGEST_NOTE = 80, 1000
FIGURES = ("units", "units_low", "units_high", "share", "money")
WEEKLY = ("base", "scenario", "base_money", "money")


@dataclass(frozen=True, eq=False)
class Saved:
    """A kept scenario. ``figures``: difference in units with its range, share, money (NaN: no prices); ``weekly``:
    week, base, scenario, base_money, money on the run it was made on; last_day: of that run's data, None once gone."""

    id: int
    name: str
    note: str
    author: str
    created_at: datetime
    run_id: int
    last_day: date | None
    selection: Selection
    selected: str
    changes: Changes
    finding: str
    figures: dict[str, float]
    weekly: pd.DataFrame


def save(
    db: Database,
    *,
    name: str,
    note: str = "",
    who: str,
    base: Baseline,
    selection: Selection,
    selected: str,
    scenario: Scenario,
    finding: str,
) -> int:
    """Keep a scenario of the baseline's run; returns its id. ``selected``: what the selection is called.

    Raises InvalidInput without a name or without any change.
    """
    name, note = name.strip(), note.strip()
    if not name:
        raise InvalidInput("A scenario needs a name.")
    if len(name) > LONGEST_NAME or len(note) > LONGEST_NOTE:
        raise InvalidInput(f"A name has at most {LONGEST_NAME} letters, a note at most {LONGEST_NOTE}.")
    if not scenario.changes:
        raise InvalidInput("Nothing is changed yet: there is no scenario to keep.")
    weekly = scenario.weekly
    result = {
        "finding": finding,
        "figures": {key: _number(getattr(scenario, key)) for key in FIGURES},
        "weeks": [week.date().isoformat() for week in weekly["week"]],
        "weekly": {key: [_number(value) for value in weekly[key]] for key in WEEKLY},
    }
    chosen: dict[str, Any] = {"level": selection.level, "selected": selected}
    chosen |= {key: list(getattr(selection, key)) for key in ("categories", "regions", "stores")}

    def only(names: Sequence[str]) -> str:
        return names[0] if len(names) == 1 else ""

    with db.transaction() as connection:
        rows = db.rows(
            "scenario_add",
            connection=connection,
            name=name,
            run_id=base.run_id,
            level=selection.level,
            product_category=only(selection.categories),
            region=only(selection.regions),
            store=only(selection.stores),
            drivers={"changes": scenario.changes.to_json(), "selection": chosen},
            result=result,
            note=note or None,
            created_by=who,
        )
    return int(rows[0]["id"])


def listed(db: Database, limit: int = 50) -> list[Saved]:
    """The kept scenarios, newest first."""
    return [_saved(row) for row in db.rows("scenario_list", limit=limit)]


def read(db: Database, scenario_id: int) -> Saved:
    """One scenario, archived or not; NotFound when there is none with this number."""
    rows = db.rows("scenario_read", id=scenario_id) if 0 < scenario_id < 2**62 else []
    if not rows:
        raise NotFound(f"There is no scenario with the number {scenario_id}.")
    return _saved(rows[0])


def compared(db: Database, scenario_ids: Sequence[int]) -> list[Saved]:
    """Up to four scenarios side by side, in the order asked for."""
    if len(scenario_ids) > MOST_COMPARED:
        raise InvalidInput(f"At most {MOST_COMPARED} scenarios are compared at once.")
    return [read(db, number) for number in scenario_ids]


def archive(db: Database, scenario_id: int) -> None:
    """Put a scenario aside: it is no longer listed, and stays readable by its number."""
    if not db.execute("scenario_archive", id=scenario_id):
        read(db, scenario_id)


def _saved(row: Mapping[str, Any]) -> Saved:
    chosen, result = row["drivers"].get("selection", {}), row["result"]
    selection = Selection(row["level"], *(tuple(chosen.get(key, ())) for key in ("categories", "regions", "stores")))
    weekly = pd.DataFrame({"week": pd.to_datetime(result.get("weeks", [])).astype("datetime64[us]")})
    for key in WEEKLY:
        weekly[key] = pd.Series(result.get("weekly", {}).get(key, []), dtype="float64")
    figures = result.get("figures", {})
    return Saved(
        id=int(row["id"]),
        name=row["name"],
        note=row["note"] or "",
        author=row["created_by"],
        created_at=row["created_at"],
        run_id=int(row["run_id"]),
        last_day=row["last_day"],
        selection=selection,
        selected=str(chosen.get("selected", "")),
        changes=Changes.from_json(row["drivers"].get("changes", {})),
        finding=str(result.get("finding", "")),
        figures={key: math.nan if figures.get(key) is None else float(figures[key]) for key in FIGURES},
        weekly=weekly,
    )


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None
