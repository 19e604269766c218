"""Two short cuts, and what each costs on the page's own data."""

from dataclasses import dataclass

import pandas as pd

from journeybook.findings import say_share
from journeybook.lifetime_value.holdout import Judged, fit_trees, poisson_deviance


@dataclass(frozen=True, eq=False)
class Pitfall:
    """What two short cuts promise, and what came.

    Attributes:
        rate_error: Revenue of the time held out by each customer's mean revenue a week, less what came, as a share
            of it.
        own_deviance: Deviance a customer of trees judged on what taught them.
        held_deviance: The same on the time held out.
    """

    rate_error: float
    own_deviance: float
    held_deviance: float

    @property
    def sentence(self) -> str:
        """Both, for the page."""
        more = "more" if self.rate_error > 0 else "less"
        naive = f"Mean revenue a week times the weeks promises {say_share(abs(self.rate_error))} {more} than came."
        judged = f"Trees judged where they learned seem to miss by a deviance of {self.own_deviance:.2f}"
        return f"{naive} {judged}; on time they have not seen it is {self.held_deviance:.2f}."


def find_pitfall(customers: pd.DataFrame, before: pd.DataFrame, judged: Judged, *, weeks: float) -> Pitfall:
    """Take both short cuts: a mean of the past times a horizon, and judging where one has learned."""
    promised = (customers["repeat_revenue"] / customers["T"].clip(lower=1 / 7)).sum() * weeks
    came = customers["revenue_after"].sum()
    trees, known = fit_trees(before), before["n_after"].to_numpy(dtype=float)
    own, held = poisson_deviance(known, trees(before)), poisson_deviance(customers["n_after"], trees(customers))
    return Pitfall(float(promised / came - 1) if came else float("nan"), float(own.mean()), float(held.mean()))
