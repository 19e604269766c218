"""Publishing for good: contributions bounded, noise of the stated size, the ledger charged, the folder clean."""

import hmac
import json
import math
from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
import yaml

from journeybook.cli import main
from journeybook.datasets import build_dataset
from journeybook.errors import JourneybookError
from journeybook.privacy import publishing
from journeybook.privacy.asking import make_plan
from journeybook.privacy.bounding import bounded_cells, moves
from journeybook.privacy.guarantees import _proven
from journeybook.privacy.ledger import grant, read_ledger
from journeybook.privacy.mechanisms import Noise, _gaussian, _laplace, charge_of, draw, noise_of, reach, together
from journeybook.privacy.scanning import exact_figures_of, scan_release
from journeybook.tables import owners_view, store

YEAR, TODAY = "2026-01-01/2026-12-31", date(2026, 6, 1)
CHANNELS = {"channel": ["email", "sms"]}
MOST = {"rows": 4, "groups": 2, "amount": 50}
KINDS = {
    "people": {"kind": "people", "by": ["channel"], "values": CHANNELS, "epsilon": 1.0},
    "rows": {"kind": "rows", "by": ["channel"], "values": CHANNELS, "epsilon": 1.0},
    "sum": {"kind": "sum", "of": "revenue", "by": ["channel"], "values": CHANNELS, "epsilon": 1.0},
    "mean": {"kind": "mean", "of": "revenue", "by": ["channel"], "values": CHANNELS, "rho": 0.5},
    "histogram": {"kind": "histogram", "of": "revenue", "edges": [10, 20], "rho": 0.5},
    "quantiles": {"kind": "quantiles", "of": "revenue", "edges": [10, 20, 40], "shares": [0.5], "epsilon": 1.0},
    "rate": {"kind": "rate", "of": "responded", "by": ["channel"], "values": CHANNELS, "epsilon": 1.0},
    "found": {"kind": "people", "by": ["channel"], "epsilon": 1.0, "delta": 1e-6},
}
ASKED = {name: {"table": "sends", "most": MOST} | about for name, about in KINDS.items()}
for _name in ("people", "rows", "rate", "found"):
    ASKED[_name] = ASKED[_name] | {"most": {"rows": 4, "groups": 2}}


def asked(name: str, **changes):
    return make_plan({"unit": "person", "releases": {name: ASKED[name] | changes}}).releases[0]


def sends(seed: int, n: int = 60) -> pd.DataFrame:
    """Rows of made-up people; some have many more than is declared, some amounts are no numbers."""
    rng = np.random.default_rng(seed)
    amounts = rng.choice(
        [-5.0, 3.0, 12.5, 80.0, np.nan, np.inf, 1e12], n, p=[0.1, 0.3, 0.3, 0.2, 0.04, 0.03, 0.03]
    )
    return pd.DataFrame(
        {
            "unit": rng.choice([*"aaaabbcdefgh"], n),
            "channel": rng.choice(["email", "sms", "fax"], n),
            "revenue": amounts,
            "responded": rng.random(n) < 0.4,
        }
    )


# --- contributions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_leaving_a_unit_out_moves_no_more_than_is_stated(kind, seed):
    """Every unit is left out in turn, and the rows are shuffled: nobody else's part may change with it."""
    one, rows = asked(kind), sends(seed)
    noises = noise_of(one)

    def counted(frame):
        cells = bounded_cells(ibis.memtable(frame), one)
        names = cells.groups
        return {noise.figure: pd.Series(cells.counted[noise.figure], names) for noise in noises[:-1]}, cells.cut

    whole, cut = counted(rows)
    largest = dict.fromkeys(whole, 0.0)
    for unit in rows.unit.unique():
        rest, rest_cut = counted(rows[rows.unit != unit].sample(frac=1, random_state=seed))
        assert 0 <= cut - rest_cut <= 1
        for noise in noises[:-1]:
            change = whole[noise.figure].sub(rest[noise.figure], fill_value=0)
            assert (change >= 0).all() and change.max() <= noise.most
            size = math.sqrt((change**2).sum()) if noise.rho else change.sum()
            assert size <= noise.sensitivity + 1e-9
            largest[noise.figure] = max(largest[noise.figure], size / noise.sensitivity)
    # A bound that nobody comes near would not be tested by this.
    assert max(largest.values()) > 0.4


def test_bounds_by_hand():
    rows = pd.DataFrame(
        {
            "unit": [*"aaa", *"bbbbb", "c", None],
            "channel": ["email", "email", "sms", *["email"] * 5, "fax", "email"],
            "revenue": [10.0, 60.0, -3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 1000.0],
        }
    )
    cells = bounded_cells(ibis.memtable(rows), asked("sum"))
    assert cells.groups == [("email",), ("sms",)]
    # a: 10 and 60 (of a row 50 counts) are 60, of which 50 count; its refund is 0. b: 4 of 5 rows.
    assert cells.counted["sum"].tolist() == [5000 + 400, 0] and cells.counted["people"].tolist() == [2, 1]
    assert cells.counted["rows"].tolist() == [6, 1] and cells.cut == 2


def test_steps_are_within_a_session_and_count_a_person_once():
    events = pd.DataFrame(
        {
            "unit": [*"aaaaab"],
            "session_id": [1, 1, 1, 2, 2, 1],
            "position": [1, 2, 3, 1, 2, 4],
            "event": ["home", "search", "home", "home", "search", "search"],
        }
    )
    steps = moves(ibis.memtable(events), of="event")
    one = make_plan(
        {
            "unit": "person",
            "releases": {
                "steps": {
                    "kind": "transitions",
                    "table": "events",
                    "of": "event",
                    "values": {"states": ["home", "search"]},
                    "most": {"rows": 9, "groups": 4},
                    "epsilon": 1,
                }
            },
        }
    ).releases[0]
    cells = bounded_cells(steps, one)
    told = dict(zip(cells.groups, cells.counted["people"].tolist(), strict=True))
    assert told == {("home", "home"): 0, ("home", "search"): 1, ("search", "home"): 1, ("search", "search"): 0}


# --- noise ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.7, 5.0, 400.0])
def test_noise_has_the_variance_of_its_mechanism(scale):
    n, a = 20_000, math.exp(-1 / scale)
    for made, variance, kurtosis in ((_laplace, 2 * a / (1 - a) ** 2, 6.0), (_gaussian, scale**2, 3.0)):
        drawn = np.array(made(scale)([0] * n), dtype=float)
        # Discrete Laplace noise has kurtosis 6 + 1 / variance (by its fourth moment).
        spread = math.sqrt((kurtosis + 1 / variance - 1) / n)
        assert drawn.var() == pytest.approx(variance, rel=5 * spread)
        assert abs(drawn.mean()) < 5 * math.sqrt(variance / n)


@pytest.mark.parametrize("scale", [0.7, 5.0, 400.0])
def test_intervals_hold_what_they_say(scale):
    """The exact probabilities of Laplace noise, added up by convolution; those of Gaussian noise by its mass."""
    sizes, a = np.arange(-60_000, 60_001), math.exp(-1 / scale)
    laplace = (1 - a) / (1 + a) * a ** np.abs(sizes)
    gaussian = np.exp(-(sizes**2) / (2 * scale**2))
    gaussian /= gaussian.sum()
    for mass, rho in ((laplace, 0.0), (gaussian, 1.0)):
        noise = Noise("people", "", 1, 1, scale, 1.0 - rho, rho)
        k = reach(noise)
        assert mass[np.abs(sizes) > k].sum() <= 0.05
        if not rho:
            assert mass[np.abs(sizes) > k - 1].sum() > 0.05
        # The transform of the mass to the power of 8 is that of eight draws added up.
        eight = np.fft.irfft(np.fft.rfft(np.fft.ifftshift(mass)) ** 8, len(sizes))
        eight = np.fft.fftshift(eight)
        k = reach(noise, n_added=8)
        assert eight[np.abs(sizes) > k].sum() <= 0.05 and eight[np.abs(sizes) > k / 2].sum() > 0.05


def test_costs_are_what_was_asked_and_sensitivities_those_of_the_bounds():
    one = charge_of(noise_of(asked("mean")))
    assert one["rho"] == pytest.approx(0.5) and "epsilon" not in one
    assert one["sensitivity"] == {"sum": pytest.approx(5000 * 2**0.5), "people": pytest.approx(2**0.5), "cut": 1}
    one = charge_of(noise_of(asked("rate")))
    assert one["epsilon"] == pytest.approx(1) and one["sensitivity"] == {"hits": 4, "rows": 4, "cut": 1}
    one = charge_of(noise_of(asked("found")))
    assert one["epsilon"] == pytest.approx(1) and 0 < one["delta"] <= 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_never_negative_and_add_up(seed):
    drawn = np.random.default_rng(seed).integers(-50, 60, 7)
    whole, total = together(drawn)
    assert (whole >= 0).all() and whole.sum() == total == max(0, drawn.sum())
    if (drawn >= 0).all():
        assert whole.tolist() == drawn.tolist()
    if total:  # no other such figures are nearer: moving one from any group to another takes them away
        for i, j in ((i, j) for i in range(7) for j in range(7) if i != j and whole[i]):
            other = whole.copy()
            other[i], other[j] = other[i] - 1, other[j] + 1
            assert ((other - drawn) ** 2).sum() >= ((whole - drawn) ** 2).sum()


def test_a_group_that_one_person_makes_is_not_listed():
    rows = pd.DataFrame({"unit": [f"u{i}" for i in range(3000)], "channel": ["email"] * 2999 + ["secret"]})
    one = asked("found")
    cells = bounded_cells(ibis.memtable(rows), one)
    assert ("secret",) in cells.groups
    for _ in range(300):
        groups, drawn = draw(cells, noise_of(one))
        assert groups == [("email",)] and len(drawn["people"]) == 1


# --- audit by an empirical lower bound, through the release's own road ----------------------------------------


def _audit(kind: str, n_draws: int) -> tuple[float, float]:
    """What draws from two tables prove of a release, and what it claims; one has a unit more, at its bounds."""
    one = asked(kind, **({"rho": 1.0} if "rho" in KINDS[kind] else {"epsilon": 2.0}))
    rows = pd.DataFrame({"unit": ["a", "b"], "channel": "email", "revenue": 15.0, "responded": True})
    newcomer = {"unit": "new", "channel": ["email", "sms"] * 2, "revenue": 1e6, "responded": True}
    noises = noise_of(one)
    charge = charge_of(noises)
    claim = charge.get("epsilon") or math.inf
    scores = []
    for table in (pd.concat([rows, pd.DataFrame(newcomer)]), rows):
        cells = bounded_cells(ibis.memtable(table), one)
        if table is not rows:
            with_ = cells
        drawn = [draw(cells, noises)[1] for _ in range(n_draws)]
        scores.append({n.figure: np.array([d[n.figure] for d in drawn]) for n in noises})
    proven = -math.inf
    for noise in noises:
        exact = [0] if noise.figure == "cut" else cells.counted[noise.figure]
        more = [1] if noise.figure == "cut" else with_.counted[noise.figure] - exact
        moved = [i for i, m in enumerate(np.atleast_1d(more)) if m]
        put = [(s[noise.figure][:, moved] - np.array(exact)[moved]) / np.array(more)[moved] for s in scores]
        proven = max(proven, _proven(*(p[:, None, :] for p in put)))
    return proven, claim


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "part"), [("people", 3), ("rows", 3), ("sum", 3), ("rate", 10), ("quantiles", 3)]
)
def test_the_audit_passes_the_release_and_catches_a_part_of_the_noise(kind, part, monkeypatch):
    """`_proven` errs once in 15,000 a figure; what one figure proves is at most its share of the budget."""
    proven, claim = _audit(kind, 3000)
    assert 0.1 < proven <= claim
    from journeybook.privacy import mechanisms

    monkeypatch.setattr(mechanisms, "_laplace", lambda scale: _laplace(scale / part))
    assert _audit(kind, 3000)[0] > claim


# --- publishing -------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with a clean table of sends."""
    monkeypatch.setenv("JOURNEYBOOK_KEY", bytes(range(32)).hex())
    (tmp_path / "sales.csv").write_text("who,at,sum\na,2024-01-01,1\nb,2024-01-02,2\n")
    columns = {"customer_id": "who", "occurred_at": "at", "revenue": "sum"}
    files = {"transactions": {"path": "sales.csv", "columns": columns}}
    build_dataset(tmp_path / "out" / "tables", dataset="files", seed=1, files=files, base=tmp_path)
    _store(tmp_path, sends(1, 900))
    return owners_view(tmp_path / "out" / "tables")


def _store(tmp_path, frame):
    rows = frame.rename(columns={"unit": "person_id"})
    place = tmp_path / "out" / "tables" / "clean" / "sends.parquet"
    store(ibis.duckdb.connect(), ibis.memtable(rows), place, about={"provenance": "YOURS"})


def sign(content: bytes) -> str:
    return hmac.new(b"a key", content, "sha256").hexdigest()


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "b.jsonl"
    grant(path, epsilon=20.0, delta=1e-5, unit="person", period=YEAR, sign=sign)
    return path


def plan_of(*names, **changes):
    return make_plan({"unit": "person", "releases": {name: ASKED[name] | changes for name in names}})


def publish(run, plan, ledger, target):
    return publishing.publish(run, plan, ledger=ledger, sign=sign, day=TODAY, target=target)


def test_a_release_is_three_files_charged_once_and_served_after(run, ledger, tmp_path):
    plan = plan_of(*KINDS)
    (tmp_path / "r1.unfinished").mkdir()
    (tmp_path / "r1.unfinished" / "exact.csv").write_text("left by a killed release")
    first = publish(run, plan, ledger, tmp_path / "r1")
    assert first.charged == tuple(KINDS) and not first.served
    assert sorted(path.name for path in (tmp_path / "r1").iterdir()) == [
        "card.md",
        "figures.csv",
        "mechanisms.json",
    ]
    figures = pd.read_csv(tmp_path / "r1" / "figures.csv")
    assert set(figures.release) == set(KINDS) and (figures.value.dropna() >= 0).all()
    assert (figures.low.fillna(0) <= figures.high.fillna(np.inf)).all()
    card = (tmp_path / "r1" / "card.md").read_text()
    assert "no consent ledger" in card and "each person" in card
    costs = json.loads((tmp_path / "r1" / "mechanisms.json").read_text())
    assert costs[0]["cost"]["epsilon"] == pytest.approx(1) and costs[0]["ledger"]["entry"] == 2
    before = ledger.read_bytes()
    again = publish(run, plan, ledger, tmp_path / "r2")
    assert not again.charged and again.served == tuple(KINDS)
    assert ledger.read_bytes() == before and again.files == first.files


def test_other_rows_or_other_bounds_are_charged_anew(run, ledger, tmp_path):
    one = publish(run, plan_of("people"), ledger, tmp_path / "r1")
    other = publish(run, plan_of("people", most={"rows": 4, "groups": 1}), ledger, tmp_path / "r2")
    _store(tmp_path, sends(1, 901))
    last = publish(run, plan_of("people"), ledger, tmp_path / "r3")
    assert one.charged == other.charged == last.charged == ("people",)
    assert len(read_ledger(ledger, sign=sign)) == 4


def test_over_budget_nothing_is_computed_written_or_charged(run, ledger, tmp_path, monkeypatch):
    before = ledger.read_bytes()
    monkeypatch.setattr(publishing, "bounded_cells", lambda *_: pytest.fail("computed"))
    with pytest.raises(JourneybookError, match="over budget"):
        publish(run, plan_of("people", epsilon=21.0), ledger, tmp_path / "r1")
    assert ledger.read_bytes() == before and not (tmp_path / "r1").exists()


def test_a_stop_before_the_charge_costs_nothing_and_one_after_it_loses_nothing(run, ledger, tmp_path, monkeypatch):
    before = ledger.read_bytes()
    with monkeypatch.context() as stopped:
        stopped.setattr(publishing, "append", lambda *_, **__: pytest.fail("stopped"))
        with pytest.raises(BaseException, match="stopped"):
            publish(run, plan_of("sum"), ledger, tmp_path / "r1")
    assert ledger.read_bytes() == before and not (tmp_path / "r1").exists()
    with monkeypatch.context() as stopped:
        stopped.setattr(publishing, "write_folder", lambda *_: pytest.fail("stopped"))
        with pytest.raises(BaseException, match="stopped"):
            publish(run, plan_of("sum"), ledger, tmp_path / "r1")
    entries = read_ledger(ledger, sign=sign)
    assert len(entries) == 2
    made = publish(run, plan_of("sum"), ledger, tmp_path / "r1")
    assert made.served == ("sum",) and len(read_ledger(ledger, sign=sign)) == 2
    values = [figure["value"] for figure in entries[1]["figures"]]
    assert pd.read_csv(tmp_path / "r1" / "figures.csv").value.tolist() == pytest.approx(values)


def test_two_releases_never_share_noise(run, ledger, tmp_path):
    """Two releases of one table that differ in a bound nobody reaches: equal noise would show."""
    wide = {"epsilon": 0.01, "most": {"rows": 900, "groups": 2}}
    wider = wide | {"most": {"rows": 901, "groups": 2}}
    values = []
    for i, about in enumerate((wide, wider)):
        made = publish(run, plan_of("rows", **about), ledger, tmp_path / f"r{i}").files["figures.csv"]
        values.append(made.splitlines()[2].split(",")[3:6])
    # Noise of scale 100,000: alike once in that many.
    assert values[0] != values[1]


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epsilon": 0}, "epsilon is 0: needed is a number above 0"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"epsilon": None}, "needs epsilon .* or rho"),
        ({"rho": 1.0}, "needs epsilon .* or rho .*, and one"),
        ({"most": {"rows": 4, "groups": 2}}, "most has no amount: .* none is taken from the data"),
        ({"most": MOST | {"amount": 0}}, "most.amount is 0"),
        ({"most": MOST | {"rows": 2.5}}, "most.rows is 2.5"),
        ({"most": MOST | {"rows": "all"}}, "most.rows is 'all'"),
        ({"values": {}}, "groups by 'channel' without values"),
        ({"values": {"chanel": ["email"]}}, "which it does not group by"),
        ({"by": "channel"}, "by is 'channel': needed is a list"),
        ({"by": ["segment"], "values": {}}, "needs segments"),
        ({"delta": 1e-6}, "it needs none"),
        ({"kind": "median"}, "did you mean mean"),
        ({"bound": 3}, "has 'bound'"),
    ],
)
def test_a_plan_that_cannot_be_done_is_one_sentence(changes, said):
    with pytest.raises(JourneybookError, match=said):
        plan_of("sum", **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table": "sendz"}, "did you mean sends"),
        ({"of": "revenu"}, "did you mean revenue"),
        ({"of": "channel"}, "channel is string: needed is a number"),
        ({"by": ["shop"], "values": {"shop": ["a"]}}, "no column 'shop'"),
    ],
)
def test_a_plan_that_does_not_fit_the_tables_is_charged_nothing(run, ledger, tmp_path, changes, said):
    before = ledger.read_bytes()
    with pytest.raises(JourneybookError, match=said):
        publish(run, plan_of("sum", **changes), ledger, tmp_path / "r1")
    assert ledger.read_bytes() == before and not (tmp_path / "r1").exists()


def test_no_budget_and_a_ledger_of_another_unit_or_key_are_one_sentence(run, ledger, tmp_path):
    plan = plan_of("people")
    with pytest.raises(JourneybookError, match="there is no budget"):
        publish(run, plan, tmp_path / "none.jsonl", tmp_path / "r1")
    with pytest.raises(JourneybookError, match="no budget for 2027-01-01"):
        publishing.publish(run, plan, ledger=ledger, sign=sign, day=date(2027, 1, 1), target=tmp_path / "r1")
    with pytest.raises(JourneybookError, match="another key"):
        publishing.publish(run, plan, ledger=ledger, sign=str, day=TODAY, target=tmp_path / "r1")
    household = make_plan({"unit": "household", "releases": {"people": ASKED["people"]}})
    with pytest.raises(JourneybookError, match="another unit"):
        publish(run, household, ledger, tmp_path / "r1")
    (tmp_path / "r1").mkdir()
    with pytest.raises(JourneybookError, match="is there already"):
        publish(run, plan, ledger, tmp_path / "r1")


# --- the scanner ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["figures.csv", "card.md", "notes.txt"])
def test_a_planted_exact_figure_is_found_and_nothing_else(run, ledger, tmp_path, place):
    plan = plan_of("sum", "mean", most={"rows": 4, "groups": 2, "amount": 12345.67})
    publish(run, plan, ledger, tmp_path / "r1")
    exact = exact_figures_of(run, plan)
    assert scan_release(tmp_path / "r1", exact).empty
    one = max((e for e in exact if e.figure == "sum"), key=lambda e: e.value)
    with (tmp_path / "r1" / place).open("a") as file:
        file.write(f"\nabout {one.value:,.2f} in all\n")
    found = scan_release(tmp_path / "r1", exact)
    assert found.file.tolist() == [place] and found.number.tolist() == [f"{one.value:,.2f}"]


def test_the_command_publishes_scans_and_says_what_was_charged(run, tmp_path, capsys):
    plan = {"unit": "person", "releases": {"sum": ASKED["sum"]}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    where = ["--out", str(tmp_path / "out"), "--ledger", str(tmp_path / "l.jsonl")]
    asking = ["release", str(tmp_path / "plan.yaml"), "--to", str(tmp_path / "r1"), *where]
    today = date.today()
    granting = ["--grant", "2", "--delta", "0", "--unit", "person", "--period", f"{today}/{today}"]
    assert main(asking) == 2 and "there is no budget" in capsys.readouterr().err
    assert main(["budget", *where, *granting]) == 0
    assert main(asking) == 0
    said = capsys.readouterr().out
    assert "Charged: sum." in said and "Scanned: no number" in said
    assert main(["budget", *where]) == 0
    assert "epsilon 1 of 2 left (1 spent)" in capsys.readouterr().out
    exact = exact_figures_of(run, make_plan(plan))
    value = max(one.value for one in exact if one.figure == "sum")
    (tmp_path / "r1" / "card.md").write_text(f"{value:.2f}")
    assert main([*asking, "--scan"]) == 2
    assert "1 exact figure: publish nothing of it" in capsys.readouterr().err
