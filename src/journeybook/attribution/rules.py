"""Credit by rule of thumb: which share of a conversion each touch of its path is given."""

import ibis

RULES = ("last_touch", "first_touch", "linear", "time_decay", "position", "shapley")
"""last_touch and first_touch give all to one touch; linear to all alike; time_decay halves with every half-life
before the conversion; position gives 40 % to the first, 40 % to the last and 20 % to those between; shapley is the
value of the game whose worth of a set of channels is the conversions on paths within that set."""

_ENDS = 0.4
# Sums of decimals do not depend on their order, as those of floats do.
_EXACT = "decimal(18, 12)"


def credits(touches: ibis.Table, *, half_life_days: float | None) -> ibis.Table:
    """Add up the credit of each channel by each rule.

    The Shapley value needs no sum over sets here. A path counts for every set that holds its channels, so it is a
    unanimity game, whose value is shared by its channels alike (Shapley 1953), and values add: each path gives
    each of its distinct channels the same share (Zhao, Mahboobi & Bagheri 2018).

    Args:
        touches: One row a touch: `group`, `path`, `touch` (from 0), `n_touches`, `label` (the channel), `weight`
            (conversions of the path), and for time decay by days `occurred_at` and `ends_at`.
        half_life_days: Days in which a touch loses half its weight; None where there are no times.

    Returns:
        `group`, `channel` and a column a rule, in conversions; groups and channels without conversions have 0.
    """
    n, place = touches.n_touches, touches.touch
    if half_life_days is not None and "ends_at" in touches.columns:
        age = (touches.ends_at.epoch_seconds() - touches.occurred_at.epoch_seconds()) / (86_400 * half_life_days)
    else:
        age = (n - 1 - place).cast("float64")
    first_of_channel = ibis.row_number().over(group_by=[touches.path, touches.label], order_by=place) == 0
    # Beyond 30 half-lives a touch weighs 1e-9 and no less, so that its twelve digits are never all zero.
    fresh = (-ibis.least(age, 30.0) * ibis.literal(2.0).ln()).exp().cast(_EXACT)
    marked = touches.mutate(fresh=fresh, new=first_of_channel.cast("int64"))
    within = {"group_by": marked.path}
    share = {
        "last_touch": (place == n - 1).cast("int64"),
        "first_touch": (place == 0).cast("int64"),
        "linear": 1 / n,
        "time_decay": marked.fresh.cast("float64") / marked.fresh.sum().over(**within).cast("float64"),
        "position": ibis.cases(
            (n == 1, 1.0),
            (n == 2, 0.5),
            ((place == 0) | (place == n - 1), _ENDS),
            else_=(1 - 2 * _ENDS) / ibis.greatest(n - 2, 1),
        ),
        "shapley": marked.new / marked.new.sum().over(**within),
    }
    shared = marked.mutate(**{rule: share[rule].cast(_EXACT) for rule in RULES})
    summed = shared.group_by("group", channel=shared.label).aggregate(
        **{rule: (shared[rule] * shared.weight.cast("decimal(18, 6)")).sum() for rule in RULES}
    )
    return summed.mutate(**{rule: summed[rule].cast("float64") for rule in RULES})
