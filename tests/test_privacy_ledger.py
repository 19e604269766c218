"""The ledger of budget: what is left, who may write, what is noticed; composition beside its witnesses."""

import hmac
import json
import math
import multiprocessing
import time
from datetime import date
from pathlib import Path

import pytest
from diffprivlib import BudgetAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from journeybook.cli import main
from journeybook.datasets import build_dataset
from journeybook.errors import JourneybookError
from journeybook.privacy.composing import compose, rho_to_epsilon
from journeybook.privacy.ledger import (
    append,
    budget_on,
    budget_table,
    check_charge,
    grant,
    locked,
    read_ledger,
)

YEAR = "2026-01-01/2026-12-31"
IN_YEAR = date(2026, 6, 1)


def sign(content: bytes) -> str:
    return hmac.new(b"a key", content, "sha256").hexdigest()


def charge(name: str, **spent) -> dict:
    return {"kind": "release", "release": name, "period": YEAR, "mechanism": "discrete Laplace"} | spent


def granted(folder: Path, **changes) -> Path:
    path = folder / "budget.jsonl"
    grant(path, sign=sign, **{"epsilon": 1.0, "delta": 1e-6, "unit": "person", "period": YEAR} | changes)
    return path


def spend(path: Path, *charges: dict, by=sign) -> None:
    """What a release does with the ledger: look, refuse or write, under its lock."""
    with locked(path):
        entries = read_ledger(path, sign=by)
        check_charge(entries, budget_on(entries, day=IN_YEAR, unit="person"), charges)
        append(path, entries, charges, sign=by)


# --- composition ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilons", [[0.1], [0.5, 0.25, 0.125], [1.0] * 7])
def test_sums_are_those_of_an_accountant(epsilons):
    accountant = BudgetAccountant(spent_budget=[(epsilon, 0) for epsilon in epsilons])
    assert compose([{"epsilon": e} for e in epsilons], delta=0).epsilon == pytest.approx(accountant.total()[0])


@pytest.mark.parametrize(("rho", "delta"), [(0.001, 1e-9), (0.1, 1e-6), (1.0, 1e-5), (4.0, 1e-3)])
def test_what_rho_costs_is_at_most_the_closed_form_and_at_least_what_a_gaussian_leaks(rho, delta):
    """Bun & Steinke 2016, proposition 1.3, from above; the exact profile of Balle & Wang 2018, from below."""
    d = math.sqrt(2 * rho)

    def leaks(epsilon):
        return norm.cdf(d / 2 - epsilon / d) - math.exp(epsilon) * norm.cdf(-d / 2 - epsilon / d) - delta

    exact = brentq(leaks, 0, 200)
    closed = rho + 2 * math.sqrt(rho * math.log(1 / delta))
    assert exact <= rho_to_epsilon(rho, delta=delta) <= closed
    # The bound itself by hand: the least over alpha, Canonne, Kamath & Steinke 2020, proposition 12.
    by_hand = min(
        rho * a + math.log(1 / (a * delta)) / (a - 1) + math.log1p(-1 / a)
        for a in (1 + 10 ** (k / 2000) for k in range(-6000, 10000))
    )
    assert rho_to_epsilon(rho, delta=delta) == pytest.approx(by_hand, rel=1e-3)


def test_many_small_charges_cost_less_than_their_sum_and_one_does_not():
    many = compose([{"epsilon": 0.05}] * 100, delta=1e-6)
    assert many.by == "zCDP" and many.epsilon == pytest.approx(rho_to_epsilon(100 * 0.05**2 / 2, delta=1e-6))
    assert many.epsilon < 5 and many.delta == 1e-6
    assert compose([{"epsilon": 0.05}], delta=1e-6) == compose([{"epsilon": 0.05}], delta=0)


def test_rho_and_epsilon_and_their_deltas_are_one_account():
    both = compose([{"rho": 0.1}, *[{"epsilon": 0.2, "delta": 1e-8}] * 10], delta=1e-6)
    assert both.epsilon == pytest.approx(rho_to_epsilon(0.1 + 0.2, delta=9e-7)) and both.delta == 1e-6
    # One large epsilon among small rhos is dearer as zCDP than beside them.
    apart = compose([{"rho": 0.001}, {"epsilon": 2.0}], delta=1e-6)
    assert apart.by == "sum" and apart.epsilon == pytest.approx(2 + rho_to_epsilon(0.001, delta=1e-6))
    # Without a delta, rho can be told in no epsilon.
    assert compose([{"rho": 0.1}], delta=0).epsilon == math.inf


# --- what is granted, spent and left ----------------------------------------------------------------------


def test_what_is_left_follows_each_charge(tmp_path):
    path = granted(tmp_path, delta=0.0)
    spend(path, charge("a", epsilon=0.25), charge("b", epsilon=0.5))
    table = budget_table(read_ledger(path, sign=sign))
    assert table.release.tolist() == ["granted", "a", "b"]
    assert table.spent.tolist() == [0, 0.25, 0.75] and table.left.tolist() == [1, 0.75, 0.25]
    assert path.stat().st_mode & 0o077 == 0


def test_over_budget_is_refused_and_nothing_is_charged(tmp_path):
    path = granted(tmp_path, delta=0.0)
    spend(path, charge("a", epsilon=0.6))
    before = path.read_bytes()
    with pytest.raises(JourneybookError, match=r"over budget, nothing was computed: b would .* 0.6 to 1.1 "):
        spend(path, charge("b", epsilon=0.5))
    with pytest.raises(JourneybookError, match="over budget"):
        spend(path, charge("b", epsilon=0.1, delta=1e-9))
    assert path.read_bytes() == before
    for _ in range(4):
        spend(path, charge("tenth", epsilon=0.1))  # 0.6 + 4 x 0.1 is more than 1 by a rounding only


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epsilon": 0.0}, "above 0"),
        ({"epsilon": -1.0}, "above 0"),
        ({"epsilon": math.nan}, "above 0"),
        ({"delta": 1.0}, "below 1"),
        ({"unit": "row"}, "a person or a household"),
        ({"period": "2026"}, "first and last day"),
        ({"period": "2026-02-01/2026-01-01"}, "first and last day"),
    ],
)
def test_a_budget_that_is_none_is_refused_and_leaves_no_file(tmp_path, changes, said):
    with pytest.raises(JourneybookError, match=said):
        granted(tmp_path, **changes)
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_day_has_one_budget_and_a_ledger_one_unit(tmp_path):
    path = granted(tmp_path)
    with pytest.raises(JourneybookError, match="has its budget"):
        granted(tmp_path, period="2026-12-31/2027-12-31")
    with pytest.raises(JourneybookError, match="ledger of another unit: it protects a person"):
        granted(tmp_path, period="2027-01-01/2027-12-31", unit="household")
    granted(tmp_path, period="2027-01-01/2027-12-31", epsilon=9.0)
    entries = read_ledger(path, sign=sign)
    assert budget_on(entries, day=date(2027, 1, 1), unit="person")["epsilon"] == 9
    with pytest.raises(JourneybookError, match="another unit: it protects a person, not a household"):
        budget_on(entries, day=IN_YEAR, unit="household")
    with pytest.raises(JourneybookError, match="no budget for 2028-01-01"):
        budget_on(entries, day=date(2028, 1, 1), unit="person")


# --- tampering, deletion, another key ---------------------------------------------------------------------


def _changed(path, do):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(do(lines)))


@pytest.mark.parametrize(
    "do",
    [
        lambda lines: [lines[0], lines[1].replace("0.25", "0.01"), *lines[2:]],
        lambda lines: [lines[0].replace('"epsilon": 1.0', '"epsilon": 9.0'), *lines[1:]],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: lines[:-1],
        lambda lines: lines[:1],
        lambda lines: [],
        lambda lines: [lines[0], lines[2], lines[1]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:2], "{\n", *lines[2:]],
    ],
    ids=["less", "more", "one_out", "last_out", "all_out", "empty", "moved", "twice", "broken"],
)
def test_a_ledger_that_was_changed_is_noticed(tmp_path, do):
    path = granted(tmp_path)
    spend(path, charge("a", epsilon=0.25), charge("b", epsilon=0.25))
    _changed(path, do)
    with pytest.raises(JourneybookError, match="is not as it was written"):
        read_ledger(path, sign=sign)


def test_a_ledger_cut_off_with_its_head_rewritten_is_noticed(tmp_path):
    path = granted(tmp_path)
    spend(path, charge("a", epsilon=0.25))
    _changed(path, lambda lines: lines[:1])
    head, first = path.with_name("budget.jsonl.head"), json.loads(path.read_text())
    known = json.loads(head.read_text())
    head.write_text(json.dumps(known | {"entries": 1, "last": first["signature"]}))
    with pytest.raises(JourneybookError, match="is gone"):
        read_ledger(path, sign=sign)


def test_a_missing_file_is_noticed(tmp_path):
    path = granted(tmp_path)
    path.rename(tmp_path / "away")
    with pytest.raises(JourneybookError, match="is gone"):
        read_ledger(path, sign=sign)
    with pytest.raises(JourneybookError, match="is gone"):
        granted(tmp_path)
    (tmp_path / "away").rename(path)
    path.with_name("budget.jsonl.head").unlink()
    with pytest.raises(JourneybookError, match="is gone"):
        read_ledger(path, sign=sign)
    path.unlink()
    with pytest.raises(JourneybookError, match="there is no budget"):
        read_ledger(path, sign=sign)


def test_another_key_is_refused(tmp_path):
    path = granted(tmp_path)
    with pytest.raises(JourneybookError, match="was made with another key"):
        read_ledger(path, sign=lambda content: hmac.new(b"other", content, "sha256").hexdigest())


# --- two writers, and a kill ------------------------------------------------------------------------------


def _spend_on(path: Path) -> None:
    while True:
        spend(path, charge("a", epsilon=0.01))


def _spend_many(path: Path) -> None:
    for _ in range(20):
        spend(path, charge("a", epsilon=0.01))


def test_two_writers_lose_no_charge(tmp_path):
    path = granted(tmp_path, epsilon=5.0)
    writers = [multiprocessing.get_context("fork").Process(target=_spend_many, args=(path,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(read_ledger(path, sign=sign)) == 61


def test_a_kill_leaves_a_ledger_that_holds(tmp_path):
    """Killed at twelve moments of its writing: each time the ledger is whole, and never shorter than before."""
    path, held = granted(tmp_path, epsilon=1e6), 1
    for i in range(12):
        writer = multiprocessing.get_context("fork").Process(target=_spend_on, args=(path,))
        writer.start()
        while len(path.read_text().splitlines()) == held and writer.is_alive():
            time.sleep(0.001)
        time.sleep(0.001 * i)
        writer.kill()
        writer.join()
        n = len(read_ledger(path, sign=sign))
        assert n > held
        held = n
        spend(path, charge("after", epsilon=0.01))
        held += 1


def test_a_kill_between_the_two_files_costs_nothing(tmp_path):
    path = granted(tmp_path)
    head = path.with_name("budget.jsonl.head")
    before = head.read_bytes()
    spend(path, charge("a", epsilon=0.25))
    head.write_bytes(before)
    assert len(read_ledger(path, sign=sign)) == 2


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def out(tmp_path):
    """A run of one small file."""
    (tmp_path / "sales.csv").write_text("who,at,sum\na,2024-01-01,1\nb,2024-01-02,2\n")
    columns = {"customer_id": "who", "occurred_at": "at", "revenue": "sum"}
    files = {"transactions": {"path": "sales.csv", "columns": columns}}
    build_dataset(tmp_path / "out" / "tables", dataset="files", seed=1, files=files, base=tmp_path)
    return tmp_path / "out"


def test_the_command_grants_and_shows_what_is_left(out, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JOURNEYBOOK_KEY", bytes(range(32)).hex())
    where = ["--out", str(out), "--ledger", str(tmp_path / "b.jsonl")]
    assert main(["budget", *where]) == 2
    assert "there is no budget" in capsys.readouterr().err
    assert main(["budget", *where, "--grant", "2"]) == 2
    assert "--grant needs --delta" in capsys.readouterr().err
    granting = ["--grant", "2", "--delta", "1e-6", "--unit", "person", "--period", YEAR]
    picture = tmp_path / "left.png"
    assert main(["budget", *where, *granting, "--plot", str(picture)]) == 0
    assert f"{YEAR}, each person: epsilon 2 of 2 left (0 spent), delta 1e-06" in capsys.readouterr().out
    assert picture.read_bytes()[1:4] == b"PNG"
    assert main(["budget", *where, "--plot", str(picture)]) == 2
    assert "a new file" in capsys.readouterr().err
