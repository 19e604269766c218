"""Page 07: every rule of the leak gate, and how seldom it is wrong."""

import numpy as np
import pandas as pd
import pytest
from channel_response_toys import OPEN_GATE, SHARES, framed, simulated
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from journeybook import channel_response as cr
from journeybook.channel_response.leaks import LeakGate, always_or_never, single_column_auc
from journeybook.statistics import stream


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Simulated contacts."""
    return simulated()


def gated(frame: pd.DataFrame, **change) -> LeakGate:
    contacts = framed(frame.drop(columns="probability"))
    split = cr.split_contacts(contacts, **SHARES, rng=stream(1, "split"))
    return cr.leak_gate(contacts, split, **(OPEN_GATE | change))


def clean_table(n: int, rate: float, rng: np.random.Generator) -> tuple[list[pd.Series], np.ndarray]:
    """Twenty columns known beforehand, ten of which predict: numbers, counts, levels as text and as numbers."""
    columns, logit = [], np.zeros(n)
    for i in range(20):
        z = rng.normal(size=n)
        column = z if i % 4 == 0 else np.floor(2 * np.exp(z))
        if i % 4 > 1:
            m = int(rng.choice([3, 10, 50, 200]))
            code = rng.choice(m, size=n, p=rng.dirichlet(np.ones(m)))
            z, column = rng.normal(size=m)[code], np.char.add("v", code.astype(str)) if i % 4 == 2 else 1.0 * code
        logit += np.log(rng.uniform(1.2, 2.5)) * z * (i < 10)
        columns.append(pd.Series(column))
    intercept = brentq(lambda a: expit(a + logit).mean() - rate, -30, 30)
    return columns, (rng.random(n) < expit(intercept + logit)).astype(int)


def test_every_rule_of_the_gate(frame):
    leaky = frame.assign(
        Duration=1.0,
        follow_up=np.where(frame["responded"], "called", "left"),
        note=frame["occurred_at"] + pd.Timedelta(days=1),
        registered=frame["occurred_at"] - pd.Timedelta(days=9),
        agent_says=np.arange(len(frame)) % 7,
    )
    gate = gated(leaky, known_after_contact=["agent_says"])
    caught = set(zip(gate.leaks["column"], gate.leaks["rule"], strict=True))
    assert caught == {
        ("value", "outcome"),
        ("Duration", "published name"),
        ("follow_up", "single-column AUC"),
        ("follow_up", "always or never"),
        ("note", "later than sending"),
        ("agent_says", "declared"),
    }
    assert set(gate.features) == {"visits", "region", "n_contacts_28d", "hour", "weekday", "channel", "registered"}
    assert "value" not in gated(leaky, known_before_contact=["Duration", "follow_up", "note"]).features
    assert "follow_up" in gated(leaky, known_before_contact=["follow_up"]).features


@pytest.mark.parametrize("kind", ["range", "level", "missing"])
def test_what_never_goes_with_a_response_is_a_leak(kind):
    rng = np.random.default_rng(4)
    n, cut = 20_000, 1.5
    x, responded = rng.normal(size=n), rng.random(n) < 0.12
    responded &= x < cut
    column = {
        "range": pd.Series(x),
        "level": pd.Series(np.where(x < cut, rng.choice(["a", "b"], size=n), "refused").astype(object)),
        "missing": pd.Series(np.where(x < cut, x, np.nan)),
    }[kind]
    said = always_or_never(column, responded.astype(int), false_alarms=0.001)
    assert said.startswith("none of the 1,") or said.startswith("none of the 2,")
    assert {"range": " to 3.", "level": "at refused", "missing": "at nan"}[kind] in said
    # It is not enough in one half, nor with a response now and then.
    late = np.where(np.arange(n) < n / 2, 0.0, x)
    assert (
        always_or_never(
            pd.Series(late), (responded | (late < cut) & (rng.random(n) < 0.12)).astype(int), false_alarms=0.001
        )
        == ""
    )
    assert always_or_never(column, (responded | (rng.random(n) < 0.02)).astype(int), false_alarms=0.001) == ""


def test_fifty_rows_that_always_respond_are_a_leak():
    rng = np.random.default_rng(4)
    responded = (rng.random(4000) < 0.12).astype(int)
    hits = np.flatnonzero(responded)
    for n, caught in ((50, True), (49, False)):
        column = pd.Series("unknown", index=range(4000), dtype="object")
        column.iloc[np.concatenate([hits[hits < 2000][:n], hits[hits >= 2000][:n]])] = "order placed"
        said = always_or_never(column, responded, false_alarms=0.001)
        assert bool(said) == caught
    assert "in both halves" in always_or_never(pd.Series(responded), responded, false_alarms=0.001)


@pytest.mark.slow
def test_clean_tables_raise_the_alarm_as_seldom_as_stated():
    rng = np.random.default_rng(11)
    alarms = {}
    for n, rate in ((500, 0.02), (2000, 0.02), (2000, 0.1), (20_000, 0.1)):
        found = np.zeros(2)
        for _ in range(60):
            table, responded = clean_table(n, rate, rng)
            found[0] += any(always_or_never(column, responded, false_alarms=0.01 / 20) for column in table)
            found[1] += any(single_column_auc(column, responded) > 0.8 for column in table)
        alarms[n, rate] = found / 60
    assert max(pure for pure, _ in alarms.values()) <= 1 / 60
    assert alarms[500, 0.02][1] == pytest.approx(1 / 3, abs=3 * np.sqrt(2 / 9 / 60))
    assert max(alarms[key][1] for key in list(alarms)[1:]) <= 2 / 60


@pytest.mark.parametrize("kind", ["difference", "joint bins"])
def test_two_columns_may_leak_only_together(frame, kind):
    rng = np.random.default_rng(5)
    came = frame["responded"].to_numpy()
    before = rng.gamma(4, 50, len(frame))
    if kind == "difference":
        own = {
            "balance_before": before,
            "balance_after": before + np.where(came, 3.0, 0.0) + rng.normal(size=len(frame)),
        }
    else:
        coin = rng.integers(2, size=len(frame))
        told = np.where(rng.random(len(frame)) < 0.9, came, ~came)
        own = {"balance_before": np.where(coin, "a", "b"), "balance_after": np.where(coin ^ told, "x", "y")}
    gate = gated(frame.assign(**own))
    assert gate.aucs.set_index("column").loc[list(own), "auc"].max() < 0.6
    caught = gate.leaks[gate.leaks["rule"] == "two columns together"]
    assert set(caught["column"]) == set(own) and caught["evidence"].str.contains("with balance_").all()
    assert set(own) <= set(gated(frame.assign(**own), known_before_contact=["balance_after"]).features)


def test_a_missing_value_can_leak(frame):
    written = np.where(frame["responded"], 1.0, np.nan)
    assert gated(frame.assign(basket=written)).leaks["column"].unique().tolist() == ["value", "basket"]


def test_clean_columns_raise_no_alarm():
    rng = np.random.default_rng(3)
    noise = {f"x{i}": rng.normal(size=4000) for i in range(40)}
    noise |= {f"c{i}": rng.integers(10 ** (i + 1), size=4000).astype(str) for i in range(3)}
    gate = gated(simulated().assign(**noise))
    assert gate.leaks["column"].tolist() == ["value"]
    assert gate.aucs.loc[gate.aucs["column"].str.match(r"x\d|c\d"), "auc"].max() < 0.56


def test_single_column_auc_is_that_of_scikit_learn(frame):
    known = frame.dropna(subset="visits")
    responded = known["responded"].to_numpy().astype(int)
    expected = roc_auc_score(responded, known["visits"])
    assert single_column_auc(known["visits"], responded) == pytest.approx(expected, abs=1e-12)
    assert single_column_auc(-known["visits"], responded) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known_after_contact": ["visit"]}, "did you mean visits?"),
        ({"known_after_contact": ["visits"], "known_before_contact": ["visits"]}, "visits: named in"),
        ({"max_single_auc": 0.4}, "max_single_auc must lie between 0.5 and 1"),
    ],
)
def test_declarations_that_cannot_be_used(frame, change, message):
    with pytest.raises(ValueError, match=message):
        gated(frame, **change)


def test_two_columns_that_leak_are_found_among_a_hundred(frame):
    rng = np.random.default_rng(6)
    came = frame["responded"].to_numpy()
    noise = {f"x{i}": rng.normal(size=len(frame)) + 0.1 * came for i in range(100)}
    coin = rng.integers(2, size=len(frame))
    told = np.where(rng.random(len(frame)) < 0.9, came, 1 - came).astype(int)
    gate = gated(frame.assign(**noise, one=coin, other=coin ^ told))
    assert set(gate.leaks.loc[gate.leaks["rule"] == "two columns together", "column"]) == {"one", "other"}
