"""How far sessions come on one way to conversion, by the strict and by the loose definition."""

from collections.abc import Sequence

import ibis
import numpy as np
import pandas as pd
from scipy import sparse

from journeybook.findings import say_names
from journeybook.journeys.sessions import CONVERSION, START
from journeybook.statistics.chains import TransitionModel
from journeybook.statistics.rates import clustered_rates

STRICT, LOOSE = "strict", "loose"
_RATES = {"rate": "of_previous", "rate_low": "of_previous_low", "rate_high": "of_previous_high"}
_COLUMNS = ["definition", "number", "stage", "n_sessions", "share", *_RATES.values()]


def likeliest_path(model: TransitionModel) -> tuple[str, ...]:
    """Return the states of the likeliest way from start to conversion, without `(start)`, with `(conversion)`.

    The way with the largest product of probabilities is the shortest one with lengths -log p (Dijkstra 1959).
    Empty where nothing converts.
    """
    names = (*model.states, CONVERSION)
    p = np.asarray(model.probabilities)[:, : len(names)]
    source, target = np.nonzero(p)
    # A step of probability 1 has length 0, which a sparse matrix would drop.
    length = np.maximum(-np.log(p[source, target]), 1e-15)
    graph = sparse.csr_array((length, (source, target)), shape=(len(names), len(names)))
    _, before = sparse.csgraph.dijkstra(graph, indices=model.at(START), return_predecessors=True)
    at, way = len(names) - 1, []
    while before[at] >= 0:
        way.append(names[at])
        at = before[at]
    return tuple(reversed(way))


def funnel(
    steps: ibis.Table,
    model: TransitionModel,
    *,
    stages: Sequence[str] | None = None,
    conversion: str | None = None,
) -> pd.DataFrame:
    """Count the sessions that come to each stage.

    Loose: the stages come in their order, with anything between them. Strict: each stage is the very next event
    after the one before. Both may begin anywhere in the session.

    Args:
        steps: Kept events of `session_steps`; of paths nothing is counted.
        model: Their chain.
        stages: Two events or more, in order; None is the likeliest way to conversion.
        conversion: Event that counts as conversion.

    Returns:
        One row a definition (loose, strict) and stage: `definition`, `number` (from 1), `stage`, `n_sessions` that
        come so far, `share` of all sessions, and `of_previous`, the share of those at the stage before, with
        `of_previous_low` and `_high`, drawn from people. No rows where no way leads to conversion.

    Raises:
        ValueError: There are fewer than two stages, or one of them never happens.
    """
    asked = stages is not None
    stages = likeliest_path(model) if stages is None else [CONVERSION if s == conversion else s for s in stages]
    if "session" not in steps.columns or not (asked or len(stages) > 1):
        return pd.DataFrame(columns=_COLUMNS)
    check_stages(stages, set(steps.select(steps.label).distinct().to_pandas()["label"]))
    attempts = _attempts(_reached(steps, stages), len(stages))
    found = clustered_rates(attempts, by=["definition", "number"], hit="come")
    n_sessions = int(found["n"].max())  # all of them may come to the first stage
    found["stage"] = [stages[number - 1] for number in found["number"]]
    found["share"] = found["n_hits"] / n_sessions
    return found.rename(columns={"n_hits": "n_sessions"} | _RATES)[_COLUMNS]


def check_stages(stages: Sequence[str], known: set[str]) -> None:
    """Raise ValueError where a funnel has fewer than two stages, or one that is not among the known events."""
    if len(stages) < 2:
        raise ValueError(f"funnel holds {len(stages)} stages: two or more are needed.")
    missing = [stage for stage in stages if stage not in known]
    if missing:
        events = say_names(sorted(known), most=12)
        raise ValueError(f"funnel names {missing[0]!r}, which never happens; the events are {events}.")


def _reached(steps: ibis.Table, stages: Sequence[str]) -> ibis.Table:
    """One row a session: `cluster`, and the number of stages reached by either definition."""
    counts = steps.group_by("session").aggregate(cluster=steps.cluster.min())
    for name in (LOOSE, STRICT):
        reached, met = [], None
        for number, stage in enumerate(stages, start=1):
            here = steps.filter(steps.label == stage).select("session", "step")
            if met is not None:
                before = met.select("session", before="step")
                comes = here.step > before.before if name == LOOSE else here.step == before.before + 1
                here = here.join(before, [here.session == before.session, comes]).select("session", "step")
            # Of the loose way only the earliest meeting of each stage matters.
            first = here.group_by("session").aggregate(step=here.step.min())
            met = first if name == LOOSE else here
            reached.append(first.select(come="session", number=ibis.literal(number, "int64")))
        most = ibis.union(*reached).group_by("come").aggregate(most=ibis._.number.max())
        counts = counts.left_join(most, counts.session == most.come).drop("come")
        counts = counts.mutate(**{name: counts.most.fill_null(0)}).drop("most")
    return counts


def _attempts(reached: ibis.Table, n_stages: int) -> ibis.Table:
    """One row a session, definition and stage that it may come to, having come to the one before."""
    rows = reached.mutate(number=ibis.range(1, n_stages + 1).unnest())
    rows = rows.mutate(definition=ibis.array([LOOSE, STRICT]).unnest())
    come = ibis.ifelse(rows.definition == LOOSE, rows.loose, rows.strict)
    rows = rows.mutate(before=come >= rows.number - 1, come=(come >= rows.number).cast("int64"))
    return rows.filter(rows.before)
