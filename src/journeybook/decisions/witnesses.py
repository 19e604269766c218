"""Each result of page 14 made again by another road: plain pandas, weights by hand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy import integrate, optimize, stats
from scipy.special import logit

from journeybook.decisions.choices import JUDGED
from journeybook.decisions.policy import EVERYONE, MODEL, PER, Deciding
from journeybook.decisions.uplift import RANKINGS, Uplift
from journeybook.sends import NO_CONTACT
from journeybook.statistics.fairness import RULES, Fairness
from journeybook.statistics.labels import MOST_VALUES
from journeybook.tables import PURPOSES, Run, permitted_people
from journeybook.tables.rows import rows_off

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]
# Two ways of computing the same sum, in units of its standard error.
_ROUNDING = 1e-6
_ENDS = {"": 0, "_low": -1, "_high": 1}
_REACH = float(stats.norm.ppf(0.975))


def recount(
    sent: pd.DataFrame,
    asked: ibis.Table,
    deciding: Deciding,
    moved: Uplift,
    *,
    permitted: Mapping[str, np.ndarray] | None,
    max_messages_28d: int,
    value_per_response: float | None,
    n_draws: int,
) -> pd.DataFrame:
    """Return how far contacts, consent, costs, policies and rankings are off when they are made again.

    `sent` is as made by `set_aside`, the rest as the page has it. One row a check, as `results.checks_of` takes
    them.
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
        may = _may(sent, deciding.costs.columns[1:-1], permitted, max_messages_28d)
        calibrate, test = (may[sent["part"] == part] for part in JUDGED)
        places = deciding.choices.values()
        forbidden = sum(int((~test.to_numpy()[np.arange(len(test)), chosen]).sum()) for chosen in places)
        rows.append(("messages of a policy that consent or the cap forbid", forbidden, 0, 0, "person by person"))
        rows += _prices(sent, deciding, calibrate, value_per_response)
        rows += _values(sent[sent["part"] == "test"], deciding, test)
        rows += _ranked(sent[sent["part"] == "test"], moved, test, n_draws)
    return pd.DataFrame(rows, columns=_COLUMNS)


def values_hold(
    sent: pd.DataFrame, moved: Uplift, weighed: pd.DataFrame, values: pd.DataFrame | None
) -> pd.DataFrame:
    """Rank people by effect times value again, person by person in Python; one row a check, or none."""
    rows = []
    if values is not None and len(weighed):
        scores: dict[str, list[float]] = {}
        asked = sent.loc[sent["part"] == "test", "person_id"].to_numpy()[moved.inside]
        for person, score in zip(asked, moved.scores[0], strict=True):
            scores.setdefault(person, []).append(score)
        of = dict(zip(values["person_id"], values["value"], strict=True))
        gains = {who: sum(found) / len(found) * of[who] for who, found in scores.items() if who in of}
        chosen = [gains.get(who, 0.0) for who in weighed.loc[weighed["by_value"], "person_id"]]
        best = sum(sorted(gains.values(), reverse=True)[: len(chosen)])
        off = abs(best - sum(chosen)) / max(abs(best), 1e-9)
        rows.append(("gain times value of the people first written to, share off", off, 0, _ROUNDING, "in Python"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def consent_holds(run: Run, sent: pd.DataFrame, permitted: Mapping[str, np.ndarray] | None) -> pd.DataFrame:
    """Ask the ledger again, as of single moments, for contacts of people whose answer changed with time."""
    off, n, asked = 0, 0, permitted if permitted is not None and sent["known_at"].notna().all() else {}
    for name, may in [each for each in asked.items() if f"marketing_{each[0]}" in PURPOSES]:

        def said(moment: pd.Timestamp, purpose: str = f"marketing_{name}") -> set[str]:
            told = permitted_people(run, purpose=purpose, as_of=moment.to_pydatetime(), among=sent["person_id"])
            return set(told.person_id.to_pandas())

        times = sent["occurred_at"]
        changed = np.flatnonzero(sent["person_id"].isin(said(times.min()) ^ said(times.max())))
        for at in changed[np.linspace(0, len(changed) - 1, min(5, len(changed))).astype(int)]:
            off, n = off + ((sent["person_id"].iloc[at] in said(times.iloc[at])) != may[at]), n + 1
    row = ("permissions at the moment of a contact judged otherwise", off, 0, 0, f"ledger as of {n} moments")
    return pd.DataFrame([row] if n else [], columns=_COLUMNS)


def groups_hold(
    fair: Fairness,
    sent: pd.DataFrame,
    groups: np.ndarray | None,
    known: Sequence[ibis.Table | None],
    *,
    column: str | None,
) -> pd.DataFrame:
    """Return how far groups, choices, rates and their ends are off, group by group in plain pandas.

    `known` are the profiles and the features, each None where there are none.
    """
    if fair.groups.empty or groups is None:
        return pd.DataFrame(columns=_COLUMNS)
    pairs = pd.DataFrame({"value": _known_of(sent, known, column or "birth_decade"), "group": groups})
    off = len(pairs.drop_duplicates()) - pairs["value"].nunique()
    rows: list[tuple] = [("values of people in two groups", off, 0, 0, "person by person")]
    frame = sent.assign(group=groups)[(sent["part"] == "test") & (sent["channel"] != NO_CONTACT)]
    shown = frame[frame["group"].isin(fair.groups["group"])]
    shown = shown.sort_values("probability", ascending=False, kind="stable")
    p, y = (shown[name].astype(float) for name in ("probability", "responded"))
    group, line = shown["group"], shown.groupby("group").cumcount()
    costs, spread = fair.costs.set_index("rule"), fair.spread.set_index(["rule", "measure"])
    one, n_off, offs, first = p * 0 + 1, 0, list[float](), None
    for rule, listed in fair.groups.groupby("rule", sort=False):
        told = listed.set_index("group")
        chosen = (line < group.map((told["selection_rate"] * group.value_counts()).round())).astype(float)
        first = chosen if first is None else first
        for figure, part, whole in (("selection_rate", chosen, one), ("true_positive_rate", chosen * y, y),
                                    ("calibration_gap", y - p, one)):  # fmt: skip
            rate, covariance = _ratios(part, whole, group, shown["person"])
            offs.append(_ends_off(told.loc[rate.index], figure, rate, np.sqrt(np.diag(covariance))))
            apart, k = spread.loc[[(rule, figure)]], len(rate)
            pair = (rate.index == apart["largest"].item()) * 1.0 - (rate.index == apart["smallest"].item())
            error = (pair @ covariance @ pair) ** 0.5
            offs.append(_ends_off(apart, "difference", pair @ rate, error, stats.chi2.ppf(0.95, k - 1) ** 0.5))
            steps = np.eye(k)[1:] - np.eye(k)[0]
            wald = steps @ rate @ np.linalg.pinv(steps @ covariance @ steps.T) @ steps @ rate
            offs.append(abs(apart["p_value"].item() - stats.chi2.sf(wald, k - 1)))
        lost, covariance = _ratios(y * (first - chosen), y * first, one, shown["person"])
        offs.append(_ends_off(costs.loc[[rule]], "responses_lost_share", lost, np.sqrt(np.diag(covariance))))
        # Whoever is chosen stands before all who are not, in the line of the rule.
        weight = p if rule == RULES[2] else one
        share = (weight.groupby(group).cumsum() - weight / 2) / weight.groupby(group).transform("sum")
        place = -p if rule == RULES[0] else share
        enough = chosen.sum() == round(fair.selected_share * len(shown))
        n_off += not (enough and place[chosen == 1].max() <= place[chosen == 0].min() + 1e-12)
    rows.append(("rules that choose others than the first of their line, or more", n_off, 0, 0, "group by group"))
    far, source = np.max(offs), "Cochran 1977, person by person"
    rows.append(("rates of groups, their ends and differences, furthest off in errors", far, 0, _ROUNDING, source))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _ratios(part: pd.Series, whole: pd.Series, by: pd.Series, who: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """Ratios of sums by group, and their covariance over people."""
    total = whole.groupby(by).sum()
    rate = part.groupby(by).sum() / total
    moves = ((part - by.map(rate) * whole) / by.map(total)).groupby([who, by]).sum().unstack(fill_value=0)
    return rate, (moves.T @ moves).to_numpy() * len(moves) / (len(moves) - 1)


def _ends_off(told: pd.DataFrame, figure: str, value: Any, error: Any, reach: float = _REACH) -> float:
    """How far figures and their ends are off, in errors; rates on the scale of log odds."""
    ends = told[[f"{figure}{end}" for end in _ENDS]].to_numpy(dtype=float)
    value, error = np.atleast_1d(value, error)
    if figure.endswith("_rate"):
        inside = (value > 0) & (value < 1)
        ends, value, error = logit(ends[inside]), logit(value[inside]), (error / (value * (1 - value)))[inside]
    due = value[:, None] + np.outer(error, [*_ENDS.values()]) * reach
    return float((np.abs(ends - due) / np.where(error > 0, error, np.inf)[:, None]).max(initial=0.0))


def _known_of(sent: pd.DataFrame, known: Sequence[ibis.Table | None], name: str) -> np.ndarray:
    """What contacts, profiles, or features of a day before say of each person; many numbers in thirds."""
    values = sent.get(name)
    if values is None:
        table = next(table for table in known if table is not None and name in table.columns)
        said = table.select("person_id", *{"as_of"} & {*table.columns}, name).to_pandas()
        both = sent.filter(["row", "person_id", "occurred_at"]).merge(said, on="person_id")
        if "as_of" in both:
            both = both[both["as_of"] < both["occurred_at"]].sort_values("as_of")
        values = sent["row"].map(both.drop_duplicates("row", keep="last").set_index("row")[name])
    if values.nunique() > MOST_VALUES and not values.map(lambda v: isinstance(v, str)).any():
        values = np.ceil(stats.rankdata(values.astype(float), nan_policy="omit") / values.count() * 3)
    return pd.Series(values).astype("str").fillna("-").to_numpy()


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


def _may(
    sent: pd.DataFrame, messages: pd.Index, permitted: Mapping[str, np.ndarray] | None, max_messages_28d: int
) -> pd.DataFrame:
    """Whether consent and cap leave each choice to each contact."""
    free = ~(sent["n_contacts_28d"] >= max_messages_28d).to_numpy(dtype=bool, na_value=False)
    may = {name: free if permitted is None else free & np.asarray(permitted[name]) for name in messages}
    return pd.DataFrame(may | {NO_CONTACT: np.ones(len(sent), dtype=bool)}, index=sent.index)


def _likely(rows: pd.DataFrame, names: pd.Index) -> pd.DataFrame:
    """The model's probability of each choice."""
    return rows[[f"probability_{name}" for name in names]].set_axis(names, axis=1).astype(float)


def _best(rows: pd.DataFrame, may: pd.DataFrame, price: pd.Series, value: float) -> tuple[pd.Series, pd.Series]:
    """The message of highest profit, and its gain over none."""
    profit = (value * _likely(rows, price.index) - price).where(may)
    messages = profit.drop(columns=NO_CONTACT).fillna(-np.inf)
    return messages.idxmax(axis=1), messages.max(axis=1) - profit[NO_CONTACT]


def _estimates(rows: pd.DataFrame, names: pd.Index, chosen: np.ndarray) -> dict[str, tuple[float, pd.Series]]:
    """The rate of a policy by estimator, and what each contact adds to its error."""
    q = pd.Series(_likely(rows, names).to_numpy()[np.arange(len(rows)), names.get_indexer(chosen)], rows.index)
    w, y = (rows["channel"] == chosen) / rows["propensity"].astype(float), rows["responded"]
    plain, robust, own = w * y, q + w * (y - q), (w * y).sum() / w.sum()
    return {
        "ips": (plain.mean(), plain - plain.mean()),
        "snips": (own, w * (y - own) / w.mean()),
        "dr": (robust.mean(), robust - robust.mean()),
    }


def _error(influence: pd.Series, person: pd.Series) -> float:
    """Standard error of a mean, person by person."""
    sums = influence.groupby(person).sum()
    return float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)) / len(influence))


def _off(told: pd.Series, figure: str, value: float, error: float) -> float:
    """How far a figure and its ends are off, in errors."""
    half = stats.norm.ppf(0.975) * error
    off = [told[f"{figure}{end}"] / PER - value - side * half for end, side in _ENDS.items()]
    return float(np.abs(off).max() / max(error, 1e-9))


def _prices(
    sent: pd.DataFrame, deciding: Deciding, may: pd.DataFrame, value_per_response: float | None
) -> Iterator[tuple]:
    """Value, fatigue and thresholds, from the training and calibration contacts."""
    rows = sent[sent["part"] == "calibrate"]
    came = sent[sent["part"].isin(["fit", "calibrate"]) & (sent["responded"] == 1)]
    value = float(came["value"].mean()) if value_per_response is None else value_per_response
    source = "mean of those that came, or as given"
    yield "value of a response", deciding.value_per_response, value, 1e-9 * value, source
    reached = rows[rows["channel"] != NO_CONTACT]
    falls = [of[f"probability_{name}"] - of["probability_one_more"] for name, of in reached.groupby("channel")]
    fall = pd.concat([*falls, pd.Series(dtype=float)]).mean(skipna=False)
    following = reached["n_contacts_28d"].mean() * len(rows) / max(len(reached), 1)
    worn, tired, far, n_off = value * max(0.0, np.nan_to_num(fall * following)), [], [], 0
    for listed in deciding.costs.set_index("prices").itertuples():
        paid = pd.Series([*listed[1:-1], 0.0], index=may.columns)
        gain = _best(rows, may, paid, value)[1]
        # The share that sends is the share whose fatigue is charged.
        share = optimize.bisect(lambda s, gain=gain: (gain > worn * s).mean() - s, 0, 1)
        tired.append(abs(listed.fatigue - worn * share) * len(rows) / max(worn, 1e-12))
        paid[:-1] += listed.fatigue
        best, gain = _best(rows, may, paid, value)
        told = deciding.thresholds[deciding.thresholds["prices"] == listed.Index].reset_index(drop=True)
        profits = {}
        for t in (0.0, *told["threshold"]):
            to = best.where(gain > t, NO_CONTACT)
            rate, influence = _estimates(rows, may.columns, to)["dr"]
            profits[t] = value * (rate + influence) - to.map(paid)
        for row in told.itertuples():
            more = profits[row.threshold] - profits[0.0]
            error = _error(more - more.mean(), rows["person"])
            away = row.gain_per_1000 / PER - more.mean(), row.error_per_1000 / PER - error
            far.append(np.abs(away).max() / max(error, 1e-9))
        gains = told["gain_per_1000"].where(told["gain_per_1000"] > 2 * told["error_per_1000"])
        best_at = told["threshold"] == 0 if gains.isna().all() else told.index == gains.idxmax()
        n_off += int((told["chosen"] != best_at).sum())
    name, source = "fatigue charged, off the share of decisions that sends, in contacts", "bisection, plain pandas"
    yield name, np.max(tired), 0, 1 + _ROUNDING, source
    yield "gains of thresholds and their errors, furthest off in errors", np.max(far), 0, _ROUNDING, "by contact"
    yield "thresholds chosen otherwise than by two errors over 0", n_off, 0, 0, "row by row"


def _values(test: pd.DataFrame, deciding: Deciding, may: pd.DataFrame) -> Iterator[tuple]:
    """What policies choose, and every estimate of their value with its ends."""
    value, names, offs, n_off = deciding.value_per_response, may.columns, [0.0], 0
    told = deciding.policy[deciding.policy["refused"] == ""].set_index(["prices", "policy", "estimator"])
    unasked = _estimates(test, names, np.full(len(test), NO_CONTACT))
    for (prices, policy), places in deciding.choices.items():
        listed = deciding.costs.set_index("prices").loc[prices]
        price = pd.Series({name: listed.get(name, 0.0) + listed["fatigue"] for name in names}, dtype=float)
        price[NO_CONTACT] = 0.0
        to = pd.Series(names.to_numpy()[places], test.index)
        if policy == MODEL:
            tried = deciding.thresholds[deciding.thresholds["prices"] == prices]
            best, gain = _best(test, may, price, value)
            threshold = tried.loc[tried["chosen"], "threshold"].item()
            n_off += int((to != best.where(gain > threshold, NO_CONTACT)).sum())
        elif (message := policy.removeprefix(EVERYONE)) in names:
            n_off += int((to != np.where(may[message], message, NO_CONTACT)).sum())
        paid = to.map(price)
        for estimator, (rate, influence) in _estimates(test, names, to).items():
            if (prices, policy, estimator) not in told.index:
                continue
            row = told.loc[(prices, policy, estimator)]
            profit, of_profit = value * rate - paid.mean(), value * influence - paid + paid.mean()
            gain, of_gain = profit - value * unasked[estimator][0], of_profit - value * unasked[estimator][1]
            for figure, at, of in (("responses", rate, influence), ("profit", profit, of_profit),
                                   ("gain", gain, of_gain)):  # fmt: skip
                offs.append(_off(row, f"{figure}_per_1000", at, _error(of, test["person"])))
    yield "contacts for which a policy chooses otherwise", n_off, 0, 0, "by profit, threshold and consent"
    source = "Dudik, Langford & Li 2011, contact by contact"
    yield "values of policies and their ends, furthest off in errors", np.max(offs), 0, _ROUNDING, source


def _ranked(test: pd.DataFrame, moved: Uplift, may: pd.DataFrame, n_draws: int) -> Iterator[tuple]:
    """What messages add along each ranking; the ends of the Qini coefficient by its influence."""
    if moved.why_not:
        return
    rows, may = (frame[may.drop(columns=NO_CONTACT).any(axis=1)] for frame in (test, may))
    likely, names, n = _likely(rows, may.columns), may.columns, len(rows)
    message = likely.where(may).drop(columns=NO_CONTACT).idxmax(axis=1)
    sent, unsent = (pd.Series(sum(_estimates(rows, names, to)["dr"])) for to in (message, np.full(n, NO_CONTACT)))
    best = pd.Series(likely.to_numpy()[np.arange(n), names.get_indexer(message)], rows.index)
    measured = {"responses_per_1000": sent, "anyway_per_1000": unsent, "added_per_1000": sent - unsent}
    told, found, offs, wide = moved.rankings.set_index("ranking"), [], [], []
    for name, score in zip(RANKINGS, (best - likely[NO_CONTACT], best), strict=True):
        order = score.sort_values(ascending=False, kind="stable").index
        added, first = (sent - unsent)[order], np.arange(n) < told.loc[name, "n_reached"]
        path, later = np.r_[0, added.cumsum() / n], added[::-1].cumsum()[::-1] - added
        at = pd.Series({"qini": integrate.trapezoid(path, dx=1 / n) - path[-1] / 2})
        of = {"qini": added * (0.5 - (np.arange(n) + 0.5) / n) - at["qini"] - (later - later.mean()) / n}
        for figure, score_of in measured.items():
            at[figure] = score_of[order][first].mean()
            of[figure] = (score_of[order] - at[figure]) * first * n / first.sum()
        found.append((at, pd.DataFrame(of)))
        curve = moved.curve[moved.curve["ranking"] == name]
        by_hand = np.interp(curve["contacted_share"], np.arange(n + 1) / n, path)
        away = (curve["added_per_1000"] / PER - by_hand).abs().max()
        offs.append(away / _error(of["qini"], rows["person"]))
    (one, of_one), (other, of_other) = found
    for name, (at, of) in zip((*RANKINGS, "difference"), (*found, (one - other, of_one - of_other)), strict=True):
        for figure in measured:
            offs.append(_off(told.loc[name], figure, at[figure], _error(of[figure], rows["person"])))
        row, half = told.loc[name], stats.norm.ppf(0.975) * _error(of["qini"], rows["person"])
        offs.append(abs(row["qini"] / PER - at["qini"]) / half)
        wide.append(abs((row["qini_high"] - row["qini_low"]) / 2 / PER / half - 1))
    source = "contact by contact, trapezoids"
    yield "rankings: what messages add, furthest off in errors", np.max(offs), 0, _ROUNDING, source
    near, source = 4 / (2 * n_draws - 2) ** 0.5, "by influence; four errors of a bootstrap's spread"
    yield "width of a Qini coefficient's interval, share off", np.max(wide), 0, near, source
