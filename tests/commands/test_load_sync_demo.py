"""The commands load, sync and demo as a person runs them: summary, JSON, sentences, exit codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from trendcast.__main__ import main
from trendcast.store.engine import Database

HEADER = "date_id,product_category,sales_units\n"


@pytest.fixture
def run(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    handlers = list(logging.getLogger().handlers)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("DATABASE_URL", db.url)
        monkeypatch.setenv("TRENDCAST_HOME", str(tmp_path / "home"))
        code = main(list(words))
        logging.getLogger().handlers[:] = handlers
        return code, *capsys.readouterr()

    return command


def days(count: int, units: str = "5") -> str:
    return HEADER + "".join(f"2024-03-{day:02d},Toys,{units}\n" for day in range(1, count + 1))


def test_load_says_what_became_of_every_row(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "sales_daily.csv").write_text(days(9) + "2024-03-10,Toys,-1\n2024-03-09,Toys,5\n")
    code, out, err = run("load", str(tmp_path))
    assert code == 0
    assert out.splitlines()[0].startswith("sales_daily: 11 rows read, 2024-03-01 to 2024-03-09, ")
    assert out.splitlines()[1:3] == [
        "  9 new, 0 changed, 0 unchanged, 1 repeated",
        "  1 in quarantine: sales_units is negative",
    ]
    assert err.splitlines() == ["sales_daily: reading ...", "sales_daily: comparing ..."]
    code, out, err = run("load", str(tmp_path), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["tables"][0]["status"] == "same"


def test_a_held_batch_ends_with_3_and_an_accepted_one_with_0(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "sales_daily.csv"
    file.write_text(days(20))
    assert run("load", str(tmp_path))[0] == 0
    file.write_text(HEADER + "2024-03-25,Toys,5\n")
    code, out, err = run("load", str(tmp_path))
    assert code == 3
    assert "held: 2024-03-21 has no rows, its weekday usually has 1" in out
    assert err.splitlines()[-1].endswith("run the same command with --accept.")
    assert run("load", str(tmp_path), "--accept")[0] == 0


def test_what_cannot_be_loaded_is_a_sentence_and_1(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = run("load", str(tmp_path / "nowhere"))
    assert (code, out) == (1, "")
    assert err == f"The folder {tmp_path / 'nowhere'} does not exist.\n"
    (tmp_path / "sales_daily.csv").write_text(days(2, units="many"))
    code, out, err = run("load", str(tmp_path))
    assert code == 1
    assert err.splitlines()[-1] == "No row of sales_daily.csv can be used: sales_units is not a number."


def test_the_demo_comes_first_lives_on_and_goes_for_ones_own(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    small = ("demo", "--categories", "1", "--regions", "1", "--years", "1", "--end", "2024-02-29", "--no-history")
    code, out, err = run(*small)
    assert code == 0
    assert out.splitlines()[0].startswith("The demo retailer is there: ")
    assert out.splitlines()[0].endswith(" 2023-03-02 to 2024-02-29.")
    assert err.splitlines()[:2] == ["Making the demo retailer ...", "Loading its past ..."]
    code, out, _ = run("demo", "--next-day", "--json")
    assert code == 0
    assert json.loads(out)["day"] == "2024-03-01"
    (tmp_path / "sales_daily.csv").write_text(days(3))
    assert run("load", str(tmp_path))[1].startswith("The demo retailer's data was replaced by yours.\n")
    code, _, err = run(*small)
    assert code == 1
    assert err.splitlines()[-1].startswith("The database holds data of your own")
    code, _, err = run("demo", "--next-day")
    assert code == 1
    assert err.splitlines()[-1].startswith("The database does not hold the demo retailer")


def test_sync_without_tables_says_which_setting(run: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = run("sync")
    assert code == 1
    assert "SOURCE_DATABASE_URL" in err


@pytest.mark.parametrize("words", [("load",), ("demo", "--years", "0"), ("demo", "--end", "soon")])
def test_bad_usage_is_2(run: Callable[..., tuple[int, str, str]], words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
