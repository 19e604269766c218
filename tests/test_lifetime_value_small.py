"""Page 06 on small and strange shops: it runs, or says in a sentence why not, as `journeybook check` foresees."""

import json
import re

import leavers
import numpy as np
import pandas as pd
import pytest

from journeybook import lifetime_value as worth
from journeybook.cli import main
from journeybook.errors import TooLittle

START = pd.Timestamp("2023-01-02 10:00")
PAGES = ("01_collection", "02_cleaning", "06_lifetime_value")


def shop(*customers) -> pd.DataFrame:
    """Receipts of customers, each the days on which they bought."""
    rows = [(f"c{n}", START + pd.Timedelta(days=float(day))) for n, days in enumerate(customers) for day in days]
    made = pd.DataFrame(rows, columns=["customer_id", "occurred_at"])
    return made.assign(revenue=[5 + n % 17 for n in range(len(made))])


def at_random(n: int, *, together: bool = False) -> list[np.ndarray]:
    """Days of customers who buy at their own rates for a year; first all on one day, if `together`."""
    rng = np.random.default_rng(6)
    found = [np.sort(rng.choice(363, rng.poisson(rng.gamma(2, 5)) + 1, replace=False)) for _ in range(n)]
    return [np.append(0, days[1:]) if together else days for days in found]


def occasions(n: int) -> list[np.ndarray]:
    """Days of donors who are asked every four weeks for two years: each gives to half, until a last time."""
    rng = np.random.default_rng(8)
    asked = np.arange(27)
    first, last = rng.integers(0, 9, n), np.minimum(rng.geometric(0.05, n) + 9, 27)
    given = (rng.random((n, 27)) < 0.5) & (asked > first[:, None]) & (asked < last[:, None])
    return [28 * np.append(one, asked[row]) for one, row in zip(first, given, strict=True)]


def subscribers(n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Receipts every 30 days of customers with a contract, and the contracts."""
    rng = np.random.default_rng(9)
    first = rng.integers(0, 500, n)
    end = first + 30 * rng.geometric(rng.beta(1.5, 8, n))
    receipts = shop(*(np.arange(a, min(b, 720), 30) for a, b in zip(first, end, strict=True)))
    began, ended = (START.normalize() + pd.to_timedelta(days, unit="D") for days in (first, end))
    names = [f"c{number}" for number in range(n)]
    about = {"customer_id": names, "started_at": began, "churned_at": np.where(end < 720, ended, pd.NaT)}
    return receipts.assign(revenue=9), pd.DataFrame(about)


def messy() -> pd.DataFrame:
    """Guests, returns, buyers of one day, several orders a day, orders for nothing, somebody who only returns."""
    sound = shop(*at_random(260))
    again = sound.iloc[::4].assign(occurred_at=lambda t: t.occurred_at + pd.Timedelta(hours=3))
    back = sound.iloc[::9].assign(occurred_at=lambda t: t.occurred_at + pd.Timedelta(days=1), revenue=-3)
    nothing = sound.iloc[::11].assign(occurred_at=lambda t: t.occurred_at + pd.Timedelta(days=1), revenue=0)
    nobody = sound.iloc[::5].assign(customer_id=None)
    returner = sound.head(3).assign(customer_id="only returns", revenue=-8)
    return pd.concat([sound, again, back, nothing, nobody, returner]).sort_values("occurred_at", kind="stable")


SAID = {
    "few who buy again": (shop(*at_random(60)), r"60 customers bought .*, \d\d again; .* needs 100 who did\."),
    "nobody repeats": (shop(*([n % 300] for n in range(400))), r", 0 again; a lifetime value needs 100 who did\."),
    "all on one day": (shop(*[[0]] * 400), "cover 0 whole weeks, and a lifetime value needs 8"),
    "seldom": (
        shop(*([n % 90, 120 + n % 90, 363 - n % 9] for n in range(300))),
        r"usually did after 17\.1 weeks, and transactions cover 40\.0 weeks .* needs 68\.6\.",
    ),
    "nobody before": (
        shop(*([190 + n % 30, 240 + n % 60, 363] for n in range(300))),
        "needs a longer period|usually did",
    ),
}
RUNS = {
    "one first day": shop(*at_random(300, together=True)),
    "once a week": shop(*(np.arange(n % 7, 364, 7) for n in range(150))),
    "messy": messy(),
    "at occasions": shop(*occasions(400)),
}


def checked(folder, receipts: pd.DataFrame, capsys) -> str:
    """What `journeybook check` says of page 06."""
    receipts.to_csv(folder / "f.csv", index=False)
    columns = ", ".join(f"{name}: {name}" for name in receipts)
    (folder / "own.yaml").write_text(
        f"dataset: files\nfiles: {{transactions: {{path: f.csv, columns: {{{columns}}}}}}}\n", encoding="utf-8"
    )
    assert main(["check", "--params", str(folder / "own.yaml")]) == 0
    return re.search(r"^06_lifetime_value +(.*)$", capsys.readouterr().out, re.MULTILINE).group(1)


@pytest.mark.parametrize("name", SAID)
def test_too_little_is_a_sentence_that_check_foresees(name: str, tmp_path, capsys) -> None:
    receipts, sentence = SAID[name]
    foreseen = checked(tmp_path, receipts, capsys)
    assert foreseen.startswith("not possible: ") and re.search(sentence, foreseen)
    with pytest.raises(TooLittle) as said:
        leavers.run_files({"transactions": receipts}, tmp_path / "run", pages=PAGES)
    assert str(said.value) == foreseen.removeprefix("not possible: ")


@pytest.mark.parametrize("name", RUNS)
def test_strange_shops_run(name: str, tmp_path, capsys) -> None:
    receipts = RUNS[name]
    assert checked(tmp_path, receipts, capsys) == "will run"
    made = leavers.run_files({"transactions": receipts}, tmp_path / "run", pages=PAGES)
    results = json.loads(made["06_lifetime_value.json"])
    assert [c["name"] for c in results["checks"] if not c["passed"] and c["kind"] != "known_miss"] == []
    bought = receipts[(receipts.revenue > 0) & receipts.customer_id.notna()]
    assert results["metrics"]["n_customers"] == bought.customer_id.nunique()
    if name == "once a week":
        assert all(row["trouble"] for row in results["tables"]["ways"] if row["kind"] == "model")
        assert any("No model could be fitted" in found["text"] for found in results["findings"])
    if name == "messy":
        end = receipts.occurred_at.max().normalize() + pd.Timedelta(days=1)
        split = worth.split_of(receipts.occurred_at.min(), end=end, holdout_weeks=None)
        later = bought[bought.occurred_at >= split]
        days = later.assign(day=later.occurred_at.dt.normalize()).drop_duplicates(["customer_id", "day"])
        known = days.customer_id.isin(bought.customer_id[bought.occurred_at < split])
        assert results["tables"]["ways"][0]["actual"] == known.sum()


def test_contracts_take_the_place_of_guesses_on_the_page(tmp_path) -> None:
    receipts, contracts = subscribers(500)
    tables = {"transactions": receipts, "contracts": contracts}
    made = leavers.run_files(tables, tmp_path / "run", pages=PAGES)
    results = json.loads(made["06_lifetime_value.json"])
    assert [c["name"] for c in results["checks"] if not c["passed"]] == []
    ways = {row["way"]: row for row in results["tables"]["ways"]}
    foreseen = {way: row["predicted"] / row["actual"] for way, row in ways.items() if row["actual"]}
    assert abs(foreseen["sBG"] - 1) < 0.1 < foreseen["own rate"] - 1
    n_ended = int(contracts.churned_at.notna().sum())
    assert any(f"{n_ended} of 500 customers have ended" in found["text"] for found in results["findings"])
