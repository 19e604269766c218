"""What the page says of deciding, of effects and of the saved model: sentences that stay true for other data."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.decisions import sent_unpermitted
from journeybook.channel_response.off_policy import ESTIMATORS, LEAST_EFFECTIVE
from journeybook.channel_response.policy import EVERYONE, LIKELIEST, MODEL, NOTHING, PER, Deciding
from journeybook.channel_response.uplift import Uplift


def describe_unpermitted(contacts: ContactFrame, permitted: Mapping[str, np.ndarray] | None) -> str:
    """Say how many messages were sent to people who did not permit them at that moment, by channel.

    Args:
        contacts: As made by `contact_frame`.
        permitted: As `permitted_channels` returns it; None where the data set has no ledger.
    """
    if permitted is None:
        return ""
    counts = sent_unpermitted(contacts, permitted)
    if not counts:
        return "The ledger has no purpose for these channels, so that permission to send cannot be looked up."
    n_sent, n_against = (sum(n) for n in zip(*counts.values(), strict=True))
    listed = ", ".join(f"{name} {n:,}" for name, (_, n) in counts.items() if n)
    return (
        f"**{n_against:,} of {n_sent:,} messages were sent without permission** at that moment"
        f"{f' ({listed})' if listed else ''}, by the ledger, for people who permit personalisation."
    )


def describe_deciding(deciding: Deciding, *, has_ledger: bool) -> str:
    """Say what the policy does, what it would have brought, and beside what."""
    if deciding.why_not:
        return f"Nothing is decided. {deciding.why_not}"
    table = deciding.policy[deciding.policy["estimator"] == "dr"]
    said = [f"**What we see.** A response counts {deciding.value_per_response:,.2f}."]
    if _costs_given(deciding):
        costs = deciding.costs.iloc[0].drop(["prices", "fatigue"])
        said.append(f"A message costs {', '.join(f'{cost:,.2f} ({name})' for name, cost in costs.items())}.")
    else:
        said.append("No costs are given, so that several prices are shown, the same for every channel.")
    if worth := _worth_of_messages(deciding):
        said.append(
            f"Sent to all who permit it, a message brings {worth}: a price above that, fatigue included, loses."
        )
    said.append("Gains over sending nothing per 1,000 decisions, where message costs are\n")
    told = [_told(str(prices), part) for prices, part in table.groupby("prices", sort=False)]
    said = [" ".join(said), *told, ""]
    limits = (
        "**What it does not show.** What comes after: each decision is valued in the situation that the logged "
        "policy led to, with fatigue as a charge on each message. A value worth fewer than "
        f"{LEAST_EFFECTIVE} people is refused."
    )
    if not has_ledger:
        limits += " Without a ledger everyone is taken to permit every channel."
    return "\n".join([*said, f"{limits} **What to do.** {_advice(table)}"])


def describe_true_values(deciding: Deciding, true: pd.DataFrame) -> str:
    """Say how near the estimates come to what the policies would truly have brought."""
    table = deciding.policy.merge(true, on=["prices", "policy"])
    told = table[table["refused"] == ""]
    if told.empty:
        return "Every value is refused, so that there is nothing to hold against the truth."
    held = (told["profit_per_1000_low"] <= told["profit_per_1000_true"]) & (
        told["profit_per_1000_true"] <= told["profit_per_1000_high"]
    )
    share = held.groupby(told["estimator"]).agg(["sum", "size"]).reindex(ESTIMATORS)
    counts = ", ".join(f"{n:.0f} of {m:.0f} ({name})" for name, n, m in share.itertuples())
    ranks = []
    for prices, part in told[told["estimator"] == "dr"].groupby("prices", sort=False):
        best = part.iloc[part["profit_per_1000_true"].argmax()]
        ranks.append(f"at {prices} {best['policy']} ({best['gain_per_1000_true']:+,.0f} over nothing)")
    return (
        f"The intervals of the policies' values hold the true value in {counts}; being of the same contacts, they "
        f"hold or fail together. Truly best of these policies: {'; '.join(ranks)}."
    )


def describe_uplift(found: Uplift) -> str:
    """Say whom a message moves, and how many sure visitors the other ranking would have paid to reach."""
    if found.why_not:
        return f"No effect is told. {found.why_not}"
    ours, theirs, apart = (_of(found.rankings, "ranking", name) for name in ("uplift", "response", "difference"))
    whole = found.curve[found.curve["contacted_share"] == 1].iloc[0]
    clear = apart["sure_visitors_high"] < 0 or apart["sure_visitors_low"] > 0
    paid = theirs["anyway_per_1000"] / theirs["responses_per_1000"]
    said = (
        f"**What we see.** A message to all {ours['n_contacts']:,.0f} contacts that may be sent one adds "
        f"{_ends(whole, 'added_per_1000', '.1f')} responses per 1,000. Of the {theirs['n_reached']:,.0f} "
        f"likeliest to respond, {_ends(theirs, 'sure_visitors', ',.0f')} come anyway: sure visitors, {paid:.0%} "
        "of the responses that a response model would have paid for. As many messages by effect reach "
        f"{abs(apart['sure_visitors']):,.0f} {'fewer' if apart['sure_visitors'] < 0 else 'more'} of them"
        f"{'' if clear else ', which may be chance'}, and add {_ends(ours, 'added_per_1000', '.0f')} responses "
        f"per 1,000 instead of {_ends(theirs, 'added_per_1000', '.0f')}. The Qini coefficient is "
        f"{_ends(ours, 'qini', '.1f')} by effect and {_ends(theirs, 'qini', '.1f')} by response; they differ by "
        f"{_ends(apart, 'qini', '.1f')}. "
    )
    better = apart["qini_low"] > 0
    return said + (
        "**What it does not show.** Who is moved, one by one: effects are seen in groups only. **What to do.** "
        + (
            "Choose by effect."
            if better
            else "Choose by effect only once more contacts show that it ranks better."
        )
    )


def describe_true_uplift(true: pd.DataFrame) -> str:
    """Say how the estimates stand to the true effects."""
    ours, theirs = (_of(true, "ranking", name) for name in ("uplift", "response"))
    return (
        f"By the true probabilities the likeliest {theirs['reached_share']:.0%} to respond hold "
        f"{theirs['sure_visitors']:,.0f} sure visitors, the first {ours['reached_share']:.0%} by effect "
        f"{ours['sure_visitors']:,.0f}; the Qini coefficients are {theirs['qini']:.1f} and {ours['qini']:.1f}."
    )


def deciding_figures(deciding: Deciding, found: Uplift) -> dict[str, float]:
    """The headline figures of deciding and of effects by name, numbers only."""
    figures: dict[str, float] = {}
    if not deciding.why_not:
        figures["value_per_response"] = deciding.value_per_response
        table = deciding.policy
        ours = _of(table[table["estimator"] == "dr"], "policy", MODEL)
        figures |= {f"policy_gain_per_1000{end}": ours[f"gain_per_1000{end}"] for end in ("", "_low", "_high")}
        figures |= {"policy_sent_share": ours["sent_share"], "policy_effective_n": ours["effective_n"]}
    if not found.why_not:
        ours, theirs = (_of(found.rankings, "ranking", name) for name in ("uplift", "response"))
        figures |= {f"qini_uplift{end}": ours[f"qini{end}"] for end in ("", "_low", "_high")}
        figures["qini_response"] = theirs["qini"]
        figures["sure_visitors_by_response"] = theirs["sure_visitors"]
        figures["sure_visitors_by_uplift"] = ours["sure_visitors"]
    return figures


def _costs_given(deciding: Deciding) -> bool:
    return len(deciding.costs) == 1


def _told(prices: str, table: pd.DataFrame) -> str:
    """One line on one set of costs; `table` has its doubly robust rows."""
    ours = _of(table, "policy", MODEL)
    if ours["refused"]:
        return f"* {prices}: refused, for {ours['refused']}."
    others = table[(table["refused"] == "") & ~table["policy"].isin([MODEL, LIKELIEST, NOTHING])]
    said = f"the policy writes at {ours['sent_share']:.0%} and gains {_ends(ours, 'gain_per_1000', '+,.0f')}"
    if len(others):
        best = others.iloc[others["gain_per_1000"].argmax()]
        said += f"; {best['policy']}: {_ends(best, 'gain_per_1000', '+,.0f')}"
    return f"* {prices}: {said}."


def _worth_of_messages(deciding: Deciding) -> str:
    """What a message by each channel brings, sent to everyone who permits it."""
    costs = deciding.costs.iloc[0]
    table = deciding.policy[
        (deciding.policy["prices"] == costs["prices"]) & (deciding.policy["estimator"] == "dr")
    ]
    worth = []
    for row in (row for _, row in table.iterrows() if row["policy"].startswith(EVERYONE)):
        channel = row["policy"].removeprefix(EVERYONE)
        if not row["refused"] and row["sent_share"] > 0:
            paid = costs[channel] + costs["fatigue"]
            each = {
                end: row[f"gain_per_1000{end}"] / PER / row["sent_share"] + paid for end in ("", "_low", "_high")
            }
            worth.append(f"{each['']:,.2f} [{each['_low']:,.2f}, {each['_high']:,.2f}] ({channel})")
    return ", ".join(worth)


def _advice(table: pd.DataFrame) -> str:
    """What to do, by the costs at which a gain of the model's policy is clear."""
    ours = table[table["policy"] == MODEL]
    clear = ours.loc[ours["gain_per_1000_low"] > 0, "prices"].tolist()
    if len(ours) == 1:
        return "Use the policy." if clear else "Send nothing, or collect more contacts: no gain is shown."
    if not clear:
        return "Send nothing until a gain is shown; give your own `costs`."
    return f"Give your own `costs`. A gain is shown where message costs are {', '.join(clear)}" + (
        "." if len(clear) == len(ours) else ", and not at the other prices."
    )


def _of(table: pd.DataFrame, column: str, name: str) -> pd.Series:
    """The first row of a name."""
    return table[table[column] == name].iloc[0]


def _ends(row: pd.Series, name: str, form: str) -> str:
    return f"{row[name]:{form}} [{row[f'{name}_low']:{form}}, {row[f'{name}_high']:{form}}]"
