"""Which ways sessions take: whole paths, loops, and what comes before leaving."""

import ibis
import pandas as pd

from journeybook.journeys.sessions import CONVERSION, computed
from journeybook.statistics.rates import clustered_rates

LONGEST_LOOP = 3
"""Steps after which a return to the same state still counts as a loop."""

REMEMBERED = 3
"""Events looked at before leaving, the last one included."""

ARROW = " > "


def journeys(steps: ibis.Table, *, most: int, fewest: int) -> pd.DataFrame:
    """Return the most frequent paths, the loops, and the sequences that come before leaving.

    Args:
        steps: Kept events of `session_steps`; of paths nothing is told.
        most: Rows of each kind.
        fewest: Times a loop or sequence must occur to be shown.

    Returns:
        One row a sequence: `kind`, `sequence`, `n`, `share`, `rate`, `rate_low`, `rate_high`, `usual`. Kinds are

        * `path`: whole sessions, `n` of them, their `share` of all, `rate` 1 where they convert and 0 where not;
        * `converting_path`: those that convert, with their `share` of the conversions;
        * `loop`: `n` returns to a state within three steps, the most frequent first; `share` of the visits to the
          state, `rate` of conversion afterwards, `usual` that rate after the other visits to the state;
        * `before_exit`: the last three events, `n` times seen; `share` of all exits, `rate` at which the session
          then ends, `usual` that rate at the same last event after others; the greatest excess of exits first.

        Intervals are drawn from people; paths have none. `usual` is missing where there are no other visits.

    Raises:
        ValueError: `most` or `fewest` is below 1.
    """
    for name, value in (("most", most), ("fewest", fewest)):
        if value < 1:
            raise ValueError(f"{name} is {value}: it must be 1 or more.")
    if "session" not in steps.columns:
        return pd.DataFrame(columns=[*_COLUMNS])
    events = computed(_marked(steps))
    parts = [_paths(steps, most), _loops(events, most, fewest), _before_exit(events, most, fewest)]
    return pd.concat([part.reindex(columns=_COLUMNS) for part in parts], ignore_index=True)


_COLUMNS = ("kind", "sequence", "n", "share", "rate", "rate_low", "rate_high", "usual")


def _marked(steps: ibis.Table) -> ibis.Table:
    """Add the labels before, and what becomes of the session; the conversion itself is left out."""
    within = {"group_by": steps.session, "order_by": steps.step}
    before = {f"back_{k}": steps.label.lag(k).over(**within) for k in range(1, LONGEST_LOOP + 1)}
    wins = steps.converts.cast("int64").max().over(group_by=steps.session)
    marked = steps.mutate(wins=wins, leaves=(steps.last & (steps.label != CONVERSION)).cast("int64"), **before)
    return marked.filter(marked.label != CONVERSION)


def _paths(steps: ibis.Table, most: int) -> pd.DataFrame:
    ways = steps.group_by("session").aggregate(
        sequence=steps.label.group_concat(sep=ARROW, order_by=steps.step), rate=steps.converts.cast("int64").max()
    )
    counts = ways.group_by("sequence", "rate").aggregate(n=ibis._.count())
    among = {"group_by": counts.rate, "order_by": [ibis.desc(counts.n), counts.sequence]}
    ranked = counts.mutate(
        total=counts.n.sum().over(),
        won=counts.n.sum().over(group_by=counts.rate),
        place=ibis.row_number().over(**among),
    )
    found = ranked.filter(ranked.place < most).order_by(ibis.desc("n"), "sequence").to_pandas()
    found["rate"] = found["rate"].astype(float)
    won = found[found["rate"] == 1].head(most)
    return pd.concat(
        [
            found.assign(kind="path", share=found["n"] / found["total"]).head(most),
            won.assign(kind="converting_path", share=won["n"] / won["won"]),
        ]
    )


def _loops(events: ibis.Table, most: int, fewest: int) -> pd.DataFrame:
    """Rank the returns to a state within three steps that pass it at no step between."""
    loop, fresh = ibis.null("string"), ibis.literal(True)
    between = ""
    for k in range(1, LONGEST_LOOP + 1):
        back = events[f"back_{k}"]
        way = back + ARROW + between + events.label if k > 1 else back + ARROW + events.label
        loop = ibis.ifelse(fresh & (back == events.label), way, loop)
        fresh = fresh & (back != events.label).fill_null(False)
        between = back + ARROW + between
    looped = events.mutate(loop=loop.fill_null(""))
    return _beside_usual(looped, "loop", "wins", fewest=fewest, kind="loop").head(most)


def _before_exit(events: ibis.Table, most: int, fewest: int) -> pd.DataFrame:
    sequence = events.label
    for k in range(1, REMEMBERED):
        sequence = events[f"back_{k}"] + ARROW + sequence
    marked = events.mutate(sequence=sequence.fill_null(""))
    found = _beside_usual(marked, "sequence", "leaves", fewest=fewest, kind="before_exit")
    exits = int(events.leaves.sum().execute() or 0)
    found = found.assign(share=found["n_hits"] / max(exits, 1), more=found["n"] * (found["rate"] - found["usual"]))
    return found.sort_values(["more", "sequence"], ascending=[False, True], ignore_index=True).head(most)


def _beside_usual(events: ibis.Table, sequence: str, hit: str, *, fewest: int, kind: str) -> pd.DataFrame:
    """Rates after each sequence beside those after the other visits to its last state, most frequent first."""
    found = clustered_rates(events, by=["label", sequence], hit=hit)
    total = found.groupby("label")[["n", "n_hits"]].transform("sum")
    others = total["n"] - found["n"]
    found = found.assign(
        kind=kind,
        sequence=found[sequence],
        share=found["n"] / total["n"],
        usual=((total["n_hits"] - found["n_hits"]) / others.where(others > 0)).astype(float),
    )
    found = found[(found["sequence"] != "") & (found["n"] >= fewest)]
    return found.sort_values(["n", "sequence"], ascending=[False, True], ignore_index=True)
