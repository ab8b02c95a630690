"""Measure early warning on the loaded retailer."""

from __future__ import annotations

import argparse
from datetime import date
from typing import Any

from trendcast.commands.console import emit, progress_bar
from trendcast.settings import Settings

HELP = "measure early warning: live the last year through again, with made-up incidents"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, metavar="N", help="replays with injections (as many as figures need)")
    parser.add_argument("--kinds", metavar="KIND,KIND,...", help="kinds to inject (all)")
    parser.add_argument("--days", type=int, default=364, metavar="N", help="days to live through again (364)")
    parser.add_argument("--until", type=date.fromisoformat, metavar="DATE", help="the last of these days (the newest)")
    parser.add_argument("--prophet", type=int, default=16, metavar="N", help="series to fit Prophet to (16; 0: none)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services.evaluate import evaluate
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            result = evaluate(
                db,
                on_progress,
                seeds=args.seeds,
                kinds=args.kinds.split(",") if args.kinds else None,
                days=args.days,
                until=args.until,
                sample=args.prophet,
            )
    finally:
        db.close()
    emit(args, result, text(result))
    return 0


def text(result: dict[str, Any]) -> str:
    """The figures as tables in markdown."""
    calm, false, own = result["calm"], result["false"], result["calibration"]
    parts = [
        f"{result['series']:,} series at level {result['level']}, {result['first_day']} to {result['last_day']}, "
        f"{result['seeds']} replays with {result['injections']:,} injections ({result['starting_share']:.2%} of "
        f"series-days start one, {result['injected_share']:.2%} lie in one). {calm['share']:.0%} of the "
        f"series ({calm['series']:,}) had residuals with a robust deviation up to {calm['limit']} before; the median "
        f"of all is {_figure(calm['median_spread'], 3)}.",
        _table(
            ["over these series", "target", "measured", ""],
            [
                [
                    one["target"],
                    f"at least {one['least']:g}" if "least" in one else f"at most {one['most']:g}",
                    _figure(one["measured"], 3 if (one.get("least") or one.get("most") or 2) <= 1 else 1),
                    "-" if one["met"] is None else "met" if one["met"] else "missed",
                ]
                for one in result["targets"]
            ],
        ),
        _table(
            ["kind", "size", "number", "found", "95 % interval", "mean delay", "95 % of delays", "right class",
             "all series: number", "found"],
            [
                [
                    one["kind"], f"{one['size']:+.0%}", *_recall(next((
                        two for two in result["recall"] if (two["kind"], two["size"]) == (one["kind"], one["size"])
                    ), None)), one["number"], f"{one['recall']:.1%}",
                ]
                for one in result["recall_all"]
            ],
        ),
        _table(
            ["all other series, size in own deviations", "number", "found the same day"],
            [
                [f"{one['from']:g} to {one['to']:g}" if one["to"] else f"over {one['from']:g}", one["number"],
                 f"{one['recall']:.1%}"]
                for one in result["power"]
            ],
        ),
        _table(
            ["nothing injected", "per 1,000 series and week", "per 2,500"],
            [
                ["entries, series up to .08", _figure(false["calm_entries_per_week_per_1000"], 1),
                 _figure(false["calm_entries_per_week_per_2500"], 1)],
                ["the same, each series of a wider movement counted",
                 _figure(false["calm_rows_per_week_per_1000"], 1), _figure(false["calm_rows_per_week_per_2500"], 1)],
                ["entries, all series and nodes", _figure(false["entries_per_week_per_1000"], 1),
                 _figure(false["entries_per_week_per_2500"], 1)],
                ["the same, each series of a wider movement counted",
                 _figure(false["rows_per_week_per_1000"], 1), _figure(false["rows_per_week_per_2500"], 1)],
                ["HIGH mails, series up to .08", "", _figure(false["calm_high_mails_per_week_per_2500"], 2)],
                ["HIGH mails, all", "", _figure(false["high_mails_per_week_per_2500"], 2)],
                ["HIGH incidents, all", "", _figure(false["high_incidents_per_week_per_2500"], 2)],
            ],
        ),
        f"In {false['days']} days {false['entries']:,} entries, {false['rows']:,} rows of the log; rows by class "
        + ", ".join(f"{name} {count}" for name, count in false["by_class"].items()) + "; by impact "
        + ", ".join(f"{name} {count}" for name, count in false["by_impact"].items())
        + f"; besides, {false['feed_incidents']} of the data themselves. Real events are among them.",
        _table(
            ["outages and faults of a region's feed", "size", "number", "told as what it is", "exactly one alert",
             "alerts each", "one alert, over the day after", "entries of demand", "HIGH alerts about it after"],
            [
                [one["kind"], f"{one['size']:+.0%}", one["number"], f"{one['told']:.1%}", f"{one['one_alert']:.1%}",
                 _figure(one["alerts"], 2), f"{one['one_recovery']:.1%}", one["demand"], one["after"]]
                for one in result["wide"]
            ],
        ),
        f"Where nothing happened ({own['days']} days, {own['tests']:,} tests), the false discovery rate at q = .05 is "
        f"{_figure(own['fdr_null'], 3)}, with drops and spikes injected {_figure(own['fdr_injected'], 3)}, with real "
        f"residuals in another order, their events among them, {_figure(own['fdr_shuffled'], 3)}; "
        f"{_figure(own['false']['entries_per_week_per_2500'], 1)} entries and "
        f"{_figure(own['false']['high_mails_per_week_per_2500'], 2)} HIGH mails a week per 2,500 series, all false "
        f"({_figure(own['false']['calm_entries_per_week_per_2500'], 1)} and "
        f"{_figure(own['false']['calm_high_mails_per_week_per_2500'], 2)} of those up to .08); p-values "
        f"exceed the uniform distribution by at most {_figure(own['uniform']['above'], 3)} and fall short of it by "
        f"{_figure(own['uniform']['below'], 3)} (Kolmogorov-Smirnov), {_figure(own['uniform']['at_001'], 4)} of them "
        f"are at most .001; on the real days {_figure(own['uniform_real']['above'], 3)}, "
        f"{_figure(own['uniform_real']['below'], 3)} and {_figure(own['uniform_real']['at_001'], 4)}.",
    ]  # fmt: skip
    kinds = [f"{one['kind']} {one['size']:+g}" for one in result["recall"]]
    rules = [("", "ours", None, {f"{one['kind']} {one['size']:+g}": one["recall"] for one in result["recall"]})]
    rows = [["early warning", "", _figure(false["calm_rows_per_week_per_2500"], 1),
             *(_share(rules[0][3].get(kind)) for kind in kinds)]]  # fmt: skip
    for title, name in (("plain rule", "plain"), ("Prophet", "prophet")):
        rows += [
            [f"{title}, {one['rule']}", _figure(one["threshold"], 2), _figure(one["entries_per_week_per_2500"], 1),
             *(_share(one["recall"].get(kind)) for kind in kinds)]
            for one in result[name]
        ]  # fmt: skip
    parts.append(_table(["rule", "threshold", "rows a week per 2,500", *kinds], rows))
    if result["prophet"]:
        parts.append(f"Prophet: a sample of {result['prophet'][0]['series']} of these series, fitted every four weeks.")
    took = result["seconds"]
    parts.append(
        f"{took['in_all']:.0f} s in all; the replay alone {took['replay']:.0f} s, {1000 * took['a_day']:.0f} ms a day."
    )
    return "\n\n".join(parts)


def _recall(one: dict[str, Any] | None) -> list[str]:
    if one is None:
        return ["0", "-", "-", "-", "-", "-"]
    return [
        str(one["number"]),
        f"{one['recall']:.1%}",
        f"{one['low']:.0%} to {one['high']:.0%}",
        _figure(one["mean_delay"], 1),
        _figure(one["delay95"], 0),
        _share(one["right_class"]),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(titles: list[str], rows: list[list[Any]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])
