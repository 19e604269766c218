"""Each result of page 14 made again by another road: plain pandas, weights by hand."""

from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd

from journeybook.decisions.choices import JUDGED, NO_CONTACT
from journeybook.decisions.policy import MODEL, NOTHING, PER, Deciding
from journeybook.statistics.fairness import RULES, Fairness
from journeybook.tables.rows import rows_off

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def recount(
    sent: pd.DataFrame,
    asked: ibis.Table,
    deciding: Deciding,
    *,
    permitted: Mapping[str, np.ndarray] | None,
    max_messages_28d: int,
) -> pd.DataFrame:
    """Return how far contacts, consent and the policies' values are off when they are counted again.

    `sent` is as made by `set_aside`. One row a check, as `results.checks_of` takes them.
    """
    off = rows_off(sent, asked, columns=["responded", "propensity"])
    rows: list[tuple] = [
        ("contacts whose outcome or propensity is not that of the table", off, 0, 0, "row by row")
    ]
    weights = _weights_off(sent)
    if weights is not None:
        rows.append(("mean weight of a channel above 1, or off it for none, in standard errors", weights, 0, 4,
                     "Horvitz & Thompson 1952"))  # fmt: skip
    if not deciding.why_not:
        forbidden = _forbidden(sent, deciding, permitted, max_messages_28d)
        rows.append(("messages of a policy that consent or the cap forbid", forbidden, 0, 0, "person by person"))
        rows += _values(sent[sent["part"] == "test"], deciding)
    return pd.DataFrame(rows, columns=_COLUMNS)


def groups_hold(fair: Fairness, sent: pd.DataFrame, groups: np.ndarray | None) -> pd.DataFrame:
    """Return how far the shares of responders found by one threshold are off, group by group in plain pandas."""
    if fair.groups.empty or groups is None:
        return pd.DataFrame(columns=_COLUMNS)
    frame = sent.assign(group=groups)[(sent["part"] == "test") & (sent["channel"] != NO_CONTACT)]
    told = fair.groups[fair.groups["rule"] == RULES[0]].set_index("group")
    shown = frame[frame["group"].isin(told.index)].sort_values("probability", ascending=False, kind="stable")
    n_chosen = round(fair.selected_share * len(shown))
    shown = shown.assign(chosen=np.arange(len(shown)) < n_chosen)
    came = shown[shown["responded"] == 1]
    # Contacts of equal probability at the threshold may fall on either side.
    ties = came[np.isclose(came["probability"], shown["probability"].iloc[n_chosen - 1])].groupby("group").size()
    allowed = (ties / came.groupby("group").size()).fillna(0).reindex(told.index)
    found = came.groupby("group")["chosen"].mean()
    off = ((told["true_positive_rate"] - found).abs() - allowed).clip(lower=0).max()
    row = ("responders found by group, greatest difference", off, 0, 1e-9, "plain pandas, ties allowed")
    return pd.DataFrame([row], columns=_COLUMNS)


def _weights_off(sent: pd.DataFrame) -> float | None:
    """Greatest distance from 1 of the mean of 1 / propensity, 0 for contacts of other channels, in errors."""
    sent = sent[sent["part"].isin(JUDGED)]
    if "propensity" not in sent or sent.empty or not sent["propensity"].between(0, 1).all():
        return None
    worst = 0.0
    for channel, own in sent.groupby("channel")["propensity"]:
        weight = np.where(sent["channel"] == channel, 1 / sent["propensity"].astype(float), 0.0)
        if own.max() < 1:
            # A channel that some may not be sent has a mean below 1; nothing may always be sent.
            off = weight.mean() - 1
            error = weight.std(ddof=1) / len(weight) ** 0.5
            worst = max(worst, (abs(off) if channel == NO_CONTACT else off) / error)
    return worst


def _forbidden(
    sent: pd.DataFrame, deciding: Deciding, permitted: Mapping[str, np.ndarray] | None, max_messages_28d: int
) -> int:
    assert deciding.test is not None
    judged = (sent["part"] == "test").to_numpy()
    full = (sent["n_contacts_28d"] >= max_messages_28d).to_numpy(dtype=bool, na_value=False)[judged]
    n = 0
    for chosen in deciding.choices.values():
        for place, name in enumerate(deciding.test.actions[:-1]):
            may = permitted[name][judged] if permitted is not None else True
            n += int(((chosen == place) & (full | ~np.asarray(may))).sum())
    return n


def _values(test: pd.DataFrame, deciding: Deciding) -> list[tuple]:
    """Nothing's value by IPS, and the profit of the model's policy by the doubly robust estimate, by hand."""
    told = deciding.policy[deciding.policy["refused"] == ""].set_index(["prices", "policy", "estimator"])
    first, rows = deciding.costs.iloc[0], []
    nothing, ours = (first["prices"], NOTHING, "ips"), (first["prices"], MODEL, "dr")
    if nothing in told.index:
        left = test[test["channel"] == NO_CONTACT]
        by_hand = PER * (left["responded"] / left["propensity"]).sum() / len(test)
        said = told.loc[nothing, "responses_per_1000"]
        rows.append(("responses per 1,000 if nothing were sent, IPS", said, by_hand,
                     1e-9, "Horvitz & Thompson 1952, by hand"))  # fmt: skip
    if ours in told.index and deciding.test is not None:
        total = 0.0
        for row, at in zip(test.to_dict("records"), deciding.choices[ours[:2]], strict=True):
            name = deciding.test.actions[at]
            likely = row[f"probability_{name}"]
            seen = (row["responded"] - likely) / row["propensity"] if row["channel"] == name else 0.0
            paid = 0.0 if name == NO_CONTACT else first[name] + first["fatigue"]
            total += deciding.value_per_response * (likely + seen) - paid
        rows.append(("profit of the model's policy per 1,000, doubly robust", told.loc[ours, "profit_per_1000"],
                     PER * total / len(test), 1e-6, "Dudik, Langford & Li 2011, contact by contact"))  # fmt: skip
    return rows
