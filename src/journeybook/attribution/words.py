"""What page 09 says of its channels, in sentences computed from its results."""

import pandas as pd

from journeybook.attribution.methods import Attribution
from journeybook.attribution.paths import ChannelPaths
from journeybook.findings import say_count, say_interval, say_share
from journeybook.journeys.sessions import said

_NAMES = {"markov_removal": "removal", "shapley": "Shapley", "position": "position 40-20-40"}


def short_name(method: str) -> str:
    """Return a method's name as it is written.

    >>> [short_name(name) for name in ("markov_removal", "markov_removal_2", "last_touch")]
    ['removal', 'removal of order 2', 'last touch']
    """
    known = _NAMES.get(method)
    return known or method.replace("markov_removal_", "removal of order ").replace("_", " ")


def leaders(found: Attribution) -> pd.Series:
    """Return the channel that each method puts first, by method."""
    first = found.table.loc[found.table.groupby("method")["share"].idxmax()]
    return first.set_index("method")["channel"]


def say_range(found: Attribution, channel: str) -> str:
    """Return the least and the greatest share that a channel is given."""
    shares = found.table[found.table["channel"] == channel]["share"]
    return " to ".join(dict.fromkeys([say_share(shares.min()), say_share(shares.max())]))


def say_first(found: Attribution, truth: pd.DataFrame) -> str:
    """Return whom the methods put first, and who truly is, as a title; `truth` may be empty."""
    first = leaders(found)
    names = sorted(said(name) for name in first.unique())
    if len(truth):
        top, share = truth.loc[truth["share"].astype(float).idxmax(), ["channel", "share"]]
        true = f"{said(top)} brings most, {say_share(share)}"
        return f"In truth {true}; the {len(first)} methods put {' or '.join(names)} first"
    if len(names) == 1:
        return (
            f"All {len(first)} methods put {names[0]} first, with {say_range(found, first.iloc[0])} of the credit"
        )
    return f"The {len(first)} methods disagree who comes first: {' or '.join(names)}"


def say_paths(paths: ChannelPaths) -> str:
    """Say what was counted, or why nothing can be."""
    if paths.note is not None:
        return f"Nothing can be attributed: {paths.note}."
    text = f"{say_count(paths.n_paths)} paths, of which {say_count(paths.n_conversions)} convert."
    if paths.n_unknown:
        text += f" {say_count(paths.n_unknown)} are sessions of unknown visitors, which nothing joins to others."
    if paths.aggregated:
        text += " People are not known, so every path counts as a new person's, and intervals are too narrow."
    return text if paths.timed else f"{text} Without times, time decay halves with each touch further back."


def say_credit(found: Attribution) -> str:
    """Say how far the methods are apart."""
    if found.note is not None:
        return ""
    by_channel = found.table.groupby("channel")["share"]
    apart = (by_channel.max() - by_channel.min()).sort_values(ascending=False, kind="stable")
    low, high = (by_channel.get_group(apart.index[0]).agg(end) for end in ("min", "max"))
    return f"They differ most on {said(apart.index[0])}: {say_interval(say_share, low, high)} of the credit."


def say_removed(found: Attribution, truth: pd.DataFrame) -> str:
    """Return what the removals lose in all, as a title; `truth` may be empty."""
    if found.note is not None:
        return ""
    lost = say_share(found.removal["removal_effect"].sum())
    text = f"Channels removed one at a time lose {lost} of conversions in all"
    return f"{text}; in truth {say_share(truth['removal_effect'].sum())}" if len(truth) else text


def say_truth(found: Attribution, beside: pd.DataFrame) -> str:
    """Say how near each method comes to the planted shares, or that only an experiment could tell."""
    if found.note is not None:
        return ""
    if beside.empty:
        return "Here the right answer is not known: only an experiment could tell."
    listed = ", ".join(f"{short_name(row.method)} {100 * row.mean_distance:.1f}" for row in beside.itertuples())
    return (
        f"Mean distance from the true shares, in percentage points: {listed}. The intervals of the best method "
        f"hold {beside['n_inside'].max()} of the {found.table['channel'].nunique()} true shares."
    )
