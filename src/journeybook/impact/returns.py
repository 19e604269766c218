"""What sending earned against what it cost, and where the two are equal."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.impact.increments import judged


@dataclass(frozen=True, eq=False)
class Balance:
    """Earnings and costs of the messages that a hold-out speaks for.

    Attributes:
        n_messages: Messages sent.
        gained: Incremental value of all messages after margin, and the ends of its 95 % interval; shape (3,), NaN
            where the contacts have no `value`.
        spent: Costs that are known.
        missing: Parameters that are not given.
    """

    n_messages: int
    gained: np.ndarray
    spent: float
    missing: tuple[str, ...]

    @property
    def per_message(self) -> np.ndarray:
        """What a message may cost at most, beside what is known, so that it pays; shape (3,) as `gained`."""
        return (self.gained - self.spent) / max(self.n_messages, 1)

    @property
    def returned(self) -> np.ndarray:
        """Gain less costs over costs, shape (3,); NaN where a price is not known or nothing was spent."""
        return np.full(3, np.nan) if self.missing or not self.spent else self.gained / self.spent - 1


def balance(decisions: pd.DataFrame, effects: pd.DataFrame, *, prices: Mapping[str, float | None]) -> Balance:
    """Weigh what messages added to `value` against what they cost.

    A discount is paid for each response to a message, also of those who would have come anyway. Without a margin
    revenue counts whole.

    Args:
        decisions: As `decisions_of` returns them.
        effects: As `measure` returns them.
        prices: `cost_per_contact`, `discount_per_response`, `hours_spent`, `cost_per_hour`, at least 0, and
            `margin`, above 0 and at most 1; None for one that is not known.
    """
    given = {name: price or 0.0 for name, price in prices.items()}
    rows = judged(decisions)
    sent = rows[~rows["none"].astype(bool)]
    own = effects[(effects["source"] == "contacts") & (effects["metric"] == "value")]
    ends = own[["effect", "low", "high"]].to_numpy(float)
    gained = ends[0] * len(rows) * (given["margin"] or 1.0) if len(own) else np.full(3, np.nan)
    spent = given["cost_per_contact"] * len(sent) + given["hours_spent"] * given["cost_per_hour"]
    spent += given["discount_per_response"] * (sent["responded"].sum() if len(sent) else 0)
    return Balance(len(sent), gained, float(spent), tuple(name for name, price in prices.items() if price is None))
