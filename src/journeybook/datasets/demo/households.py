"""Who the households are: which are drawn, what the receipts say of them, and the type each is given.

A household's type is simulated, but not out of thin air: each of the three types draws the households whose
first two months of receipts look like it, with noise, so that behaviour tells something of the type and never
all. Receipts from 1 March 2017 on, when contacts begin, play no part in it.
"""

import ibis
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.datasets.complete_journey import source_table
from journeybook.errors import JourneybookError
from journeybook.statistics import stream

CUSTOMER_TYPES = ("bargain_hunter", "convenience", "planner")

# How much of a type is behaviour: 0 is a die of three sides, 3 leaves little to chance.
_PULL = 1.2


def draw_households(seed: int, scale: float) -> list[str]:
    """Return the customer ids of the households drawn, without replacement; a smaller scale is a subset.

    `scale` is the share of the study's households; JourneybookError where it is not above 0 and up to 1.
    """
    if not 0 < scale <= 1:
        later = "a scale above 1 comes later; " if scale > 1 else ""
        raise JourneybookError(f"scale is {scale:g}: {later}it must be above 0 and up to 1.")
    lines = source_table(ibis.duckdb.connect(temp_directory=""), "transactions")
    known = lines.select("household_id").distinct().order_by("household_id").to_pandas()["household_id"].to_numpy()
    drawn = stream(seed, "demo households").permutation(known)[: max(1, round(scale * len(known)))]
    return [str(household) for household in sorted(drawn)]


def describe_households(connection: Backend, *, seed: int) -> pd.DataFrame:
    """Return the households of the view `transactions`, one row each, and give each its type.

    Makes the temporary table `baskets` (customer_id, basket_id, occurred_at, revenue, discount) on the way. They
    are `customer_id`, `first_at` (first receipt), `spend` (in 2017, in currency) and `customer_type`, in the order
    of the study's household numbers.
    """
    connection.raw_sql(
        """
        CREATE OR REPLACE TEMPORARY TABLE baskets AS
        SELECT customer_id, basket_id, max(occurred_at) AS occurred_at,
               sum(revenue) AS revenue, sum(discount) AS discount
        FROM transactions WHERE customer_id IS NOT NULL
        GROUP BY customer_id, basket_id
        """
    )
    households = connection.con.execute(
        """
        WITH early AS (SELECT *, occurred_at < TIMESTAMP '2017-03-01' AS is_early FROM baskets)
        SELECT customer_id, min(occurred_at) AS first_at, sum(revenue)::DOUBLE AS spend,
               nullif(count(*) FILTER (is_early), 0)::DOUBLE AS n,
               (sum(revenue) FILTER (is_early) / n)::DOUBLE AS mean_basket,
               (sum(discount) FILTER (is_early)
                / nullif(sum(revenue + discount) FILTER (is_early), 0))::DOUBLE AS discount_share,
               count(*) FILTER (is_early AND hour(occurred_at) >= 17) / n AS evening_share
        FROM early GROUP BY customer_id ORDER BY customer_id::BIGINT
        """
    ).df()
    looks = {
        "bargain_hunter": _standard(households["discount_share"]),
        "convenience": _standard(np.log1p(households["n"])) + _standard(households["evening_share"]),
        "planner": _standard(np.log1p(households["mean_basket"])) - _standard(households["evening_share"]),
    }
    score = _PULL * np.column_stack([looks[kind] for kind in CUSTOMER_TYPES])
    # The greatest of scores with Gumbel noise is a draw from their softmax (McFadden 1974).
    chosen = np.argmax(score + stream(seed, "demo customer types").gumbel(size=score.shape), axis=1)
    types = np.array(CUSTOMER_TYPES)[chosen]
    return households[["customer_id", "first_at", "spend"]].assign(customer_type=types)


def _standard(values: pd.Series) -> np.ndarray:
    """Return values centred and scaled, missing ones at the centre, far ones drawn in to 2."""
    numbers = values.to_numpy(dtype=float)
    known = numbers[np.isfinite(numbers)]
    if len(known) < 2 or known.std() == 0:
        return np.zeros(len(numbers))
    return np.nan_to_num(np.clip((numbers - known.mean()) / known.std(), -2, 2))
