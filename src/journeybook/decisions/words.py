"""Sentences and titles of page 14, true for other data and parameters."""

import pandas as pd
from scipy.stats import norm

from journeybook.decisions.carrying import Carried
from journeybook.decisions.choices import CERTAIN, JUDGED, who_was_certain
from journeybook.decisions.off_policy import ESTIMATORS
from journeybook.decisions.policy import EVERYONE, MODEL, NOTHING, PER, TODAY, Deciding, advantage
from journeybook.decisions.release import Released
from journeybook.decisions.truth import KnownAnswers
from journeybook.decisions.uplift import Uplift
from journeybook.findings import say_count, say_interval, say_money, say_p, say_share
from journeybook.sends import NO_CONTACT
from journeybook.statistics.fairness import RULES, Fairness

_PARTS = {"training": "fit", "calibration": "calibrate", "test": "test", "purged": "purged"}
_MEASURES = {
    "selection_rate": "Chosen",
    "true_positive_rate": "Responders found",
    "calibration_gap": "Response rate less probability",
}


def say_contacts(sent: pd.DataFrame) -> str:
    """Say how many contacts there are, and how many serve which part."""
    n = sent["part"].value_counts()
    parts = ", ".join(f"{name} {n[key]:,}" for name, key in _PARTS.items() if n.get(key, 0))
    return f"{len(sent):,} contacts: {parts}. {say_share(sent['responded'].mean())} responded."


def say_set_aside(tried: pd.DataFrame) -> str:
    """Say how many contacts count in no value of a policy, and who they are; nothing where there are none."""
    n, judged = (int(tried["part"].isin(parts).sum()) for parts in ([CERTAIN], [*JUDGED, CERTAIN]))
    if not n:
        return ""
    return (
        f"**For {n:,} of {judged:,} contacts the choice was certain** (`propensity` 1 or 0; "
        f"{who_was_certain(tried)}). What another choice would have brought them cannot be told: they count in no "
        "value of a policy and in no gain."
    )


def title_policies(deciding: Deciding) -> str:
    """What the model's policy gains over sending nothing, at the first set of costs."""
    ours = _model_rows(deciding).iloc[0]
    if ours["refused"]:
        return "No value of a policy is told: too few contacts chose as it would"
    at = "the costs given" if len(deciding.costs) == 1 else "no cost"
    gains = _of_money(ours, "gain_per_1000", currency=deciding.currency)
    return f"Expected profit gains {gains} per 1,000 contacts over sending nothing, at {at}"


def policies_beside_today(deciding: Deciding) -> pd.DataFrame:
    """Gain of each policy over sending nothing, doubly robust, at the first set of costs; last what was sent."""
    rows = deciding.policy[(deciding.policy["estimator"] == "dr") & (deciding.policy["policy"] != NOTHING)]
    rows = rows[rows["prices"] == rows["prices"].iloc[0]]
    named = rows["policy"].str.replace(EVERYONE, f"{EVERYONE}by ")
    more, error, _ = advantage(deciding, TODAY, NOTHING, true=None)
    gain = [more, more - norm.ppf(0.975) * error, more + norm.ppf(0.975) * error]
    names = ["gain_per_1000", "gain_per_1000_low", "gain_per_1000_high"]
    today = pd.DataFrame([gain], columns=names).assign(policy="today's sending", refused="")
    return pd.concat([rows.assign(policy=named), today], ignore_index=True)


def say_deciding(deciding: Deciding) -> str:
    """Say what a response and a message are worth, and at which costs a gain is shown."""
    if deciding.why_not:
        return f"Nothing is decided. {deciding.why_not}"
    said = [f"A response counts {say_money(deciding.value_per_response, currency=deciding.currency)}."]
    ours = _model_rows(deciding)
    clear = ours.loc[ours["gain_per_1000_low"] > 0, "prices"].tolist()
    if len(ours) > 1:
        at = f"where a message costs {', '.join(clear)}" if clear else "at no price"
        said.append(f"A gain of the policy is shown {at}; give your own `costs`.")
    elif not clear:
        said.append("No gain is shown: send nothing, or collect more contacts.")
    return " ".join(said)


def title_uplift(found: Uplift) -> str:
    """What choosing by effect adds to choosing by response."""
    gap = _of(found.rankings, "difference")
    ends = say_interval(say_count, gap["qini_low"], gap["qini_high"])
    return f"Choosing by effect adds {say_count(gap['qini'])} responses per 1,000 contacts ({ends})"


def say_uplift(found: Uplift) -> str:
    """Say what messages add, and to how many who come anyway."""
    if found.why_not:
        return f"No effect is told. {found.why_not}"
    ours, theirs = (_of(found.rankings, name) for name in ("uplift", "response"))
    whole = found.curve[found.curve["contacted_share"] == 1].iloc[0]
    return (
        f"A message to all {ours['n_contacts']:,.0f} contacts that may be sent one adds "
        f"{_ends(whole, 'added_per_1000')} responses per 1,000. The top {ours['reached_share']:.0%} by effect add "
        f"{_ends(ours, 'added_per_1000')}, by response {_ends(theirs, 'added_per_1000')}."
    )


def say_weighed(weighed: pd.DataFrame) -> str:
    """Say what weighing by lifetime value changes in whom a message is sent first; nothing where it is unknown."""
    first, heavy = (weighed[weighed[name].astype(bool)] for name in ("by_effect", "by_value"))
    if not len(first):
        return ""
    others, n = (say_count(count) for count in ((~heavy["by_effect"].astype(bool)).sum(), len(first)))
    worth = " each instead of ".join(say_money(part["value"].mean()) for part in (heavy, first))
    fewer = say_count(PER * (first["added"].mean() - heavy["added"].mean()))
    return (
        f"Weighed by lifetime value (page 06), {others} of the {n} people first written to are others. Those "
        f"first are worth {worth}, and by the model a message adds {fewer} fewer responses per 1,000. Values are "
        "of the end of the data: this says whom to write to next, not what it would have earned."
    )


def say_fairness(fair: Fairness) -> str:
    """Say whether groups are alike, and the price of equality."""
    if fair.groups.empty:
        return "There are not two groups of people to compare; `fairness_by` names a column."
    spread = fair.spread[fair.spread["rule"] == RULES[0]].set_index("measure")["p_value"]
    alike = "; ".join(f"{word} alike: {say_p(spread[name])}" for name, word in _MEASURES.items())
    lost = fair.costs.set_index("rule")["expected_lost_share"]
    prices = " and ".join(f"{rule} {say_share(lost[rule])}" for rule in RULES[1:])
    small = f" {fair.n_small_groups} smaller groups ({fair.n_small:,} contacts) are not shown."
    return (
        f"{alike}. Of the responses that one threshold finds, other rules lose: {prices}."
        f"{small if fair.n_small else ''}"
    )


def say_known_answers(deciding: Deciding, known: KnownAnswers) -> str:
    """Say how near the estimates come to the known answer; nothing where there is none."""
    said = []
    if len(known.policies):
        table = deciding.policy.merge(known.policies, on=["prices", "policy"])
        told = table[table["refused"] == ""]
        held = told["profit_per_1000_true"].between(told["profit_per_1000_low"], told["profit_per_1000_high"])
        share = held.groupby(told["estimator"]).agg(["sum", "size"]).reindex(ESTIMATORS).dropna()
        counts = ", ".join(f"{n:.0f} of {m:.0f} ({name})" for name, n, m in share.itertuples())
        best = known.policies.loc[known.policies["profit_per_1000_true"].idxmax(), "policy"]
        said.append(f"Intervals of the policies' values hold the true value in {counts or 'none told'}.")
        said.append(f"Truly best, at the first price: {best}.")
    if len(known.rankings):
        ours, theirs = (_of(known.rankings, name) for name in ("uplift", "response"))
        said.append(f"True Qini coefficients: {ours['qini']:.1f} by effect, {theirs['qini']:.1f} by response.")
    return " ".join(said)


def say_pitfall(found: Uplift) -> str:
    """Say what writing to the likeliest wastes on people who come anyway."""
    if found.why_not:
        return "Without people left out by chance nobody can tell who would have come anyway."
    ours, theirs = (_of(found.rankings, name) for name in ("uplift", "response"))
    paid = theirs["anyway_per_1000"] / theirs["responses_per_1000"]
    return (
        f"Of the {theirs['n_reached']:,.0f} contacts likeliest to respond, {_ends(theirs, 'sure_visitors')} come "
        f"anyway: {paid:.0%} of the responses a response model pays for. As many by effect reach "
        f"{say_count(ours['sure_visitors'])}."
    )


def _model_rows(deciding: Deciding) -> pd.DataFrame:
    """Doubly robust rows of the model's policy, one a set of costs."""
    return deciding.policy[(deciding.policy["estimator"] == "dr") & (deciding.policy["policy"] == MODEL)]


def _of(rankings: pd.DataFrame, name: str) -> pd.Series:
    return rankings[rankings["ranking"] == name].iloc[0]


def _ends(row: pd.Series, name: str) -> str:
    return f"{say_count(row[name])} ({say_interval(say_count, row[f'{name}_low'], row[f'{name}_high'])})"


def _of_money(row: pd.Series, name: str, *, currency: str | None) -> str:
    between = say_interval(say_money, row[f"{name}_low"], row[f"{name}_high"])
    return f"{say_money(row[name], currency=currency)} ({between})"


def say_rules(carried: Carried) -> str:
    """Say which rules are in force, and what is wrong with them."""
    if carried.decided is None:
        return carried.why_not
    rules, faults = carried.decided.rules, carried.faults
    told = f"{rules.source}, version {rules.version}: {len(rules.tried)} rules, tried in this order: "
    told += f"{', '.join(rule.name for rule in rules.tried)}."
    if faults.empty:
        return f"{told} Each holds for somebody, none hides another, and nobody is left without a rule."
    listed = "; ".join(
        f"{' and '.join(filter(None, (row.rule, row.other)))} ({row.fault}, {row.n_people:,} people)".strip()
        for row in faults.itertuples()
    )
    return f"{told} **To be looked at:** {listed}."


def say_decided(carried: Carried, *, currency: str | None = None) -> str:
    """Say how many are sent a message in each slot, what is expected of it, and how many a lot leaves out."""
    if carried.decided is None:
        return ""
    table, said = carried.decided.table, []
    for slot, rows in table.groupby("slot", sort=False):
        sent = rows[rows["channel"] != NO_CONTACT]
        gain, low, high = (sent[name].sum(min_count=len(sent)) for name in ("expected_gain", "low", "high"))
        known = f", expected to gain {say_money(gain, currency=currency)} ({say_interval(say_money, low, high)})"
        worth = known if gain == gain else ""
        said.append(f"{slot}: {say_count(len(sent))} of {say_count(len(rows))} people are sent a message{worth}.")
    held = table.drop_duplicates("person_id")["holdout"].mean()
    lot = f" A lot holds out {say_share(held)} of people, to measure all of this later." if held else ""
    return " ".join(said) + lot


def say_changed(carried: Carried, *, currency: str | None = None) -> str:
    """Say how many get another action than by the version before, and what that is worth."""
    if carried.changed is None:
        return ""
    n, gain, low, high = (carried.changed[name].sum() for name in ("n_people", "gain", "low", "high"))
    known = f", worth {say_money(gain, currency=currency)} ({say_interval(say_money, low, high)}) in all"
    worth = known if gain == gain else ""
    return f"Beside the version before, {say_count(n)} decisions are others{worth}."


def say_released(released: Released) -> str:
    """Say what the rules would have earned beside today's sending, or why that cannot be told."""
    if released.why_not:
        return f"What the rules would have earned cannot be told: {released.why_not.rstrip('.')}."
    out = f" Not judged, for they read what was not known then: {', '.join(released.left_out)}."
    said = []
    for _, row in released.values[released.values["estimator"].isin(["dr", "observed"])].iterrows():
        gain = f"refused ({row['refused']})" if row["refused"] else _of_money(row, "gain_per_1000", currency=None)
        said.append(f"{row['policy']} {gain}")
    return f"Gain over sending nothing, per 1,000 contacts: {'; '.join(said)}.{out if released.left_out else ''}"
