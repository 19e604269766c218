"""When a household's turn to be contacted comes, what is known of it then, and what the ledger permits."""

import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.datasets.demo.households import CUSTOMER_TYPES
from journeybook.statistics import stream

FIRST_DAY = np.datetime64("2017-03-01", "D")
N_DAYS = 275
# Turns of each household; 275 / 32 days apart, so that windows of 7 days do not overlap.
N_ROUNDS = 32

# Hours at which messages are sent, and how often: by day and in the evening, less often early and late.
HOURS = np.arange(8, 22)
_HOUR_WEIGHTS = np.array([2, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4, 4, 3, 2])

# What is known from the receipts strictly before each decision, in the engine; sums are exact decimals.
_BEHAVIOUR = """
CREATE OR REPLACE TEMP TABLE behaviour AS
SELECT planned.decision,
       epoch(any_value(planned.occurred_at)) - epoch(max(baskets.occurred_at)) AS seconds,
       count(*) FILTER (baskets.occurred_at >= planned.occurred_at - INTERVAL 28 DAY) AS n_baskets,
       sum(baskets.revenue) FILTER (baskets.occurred_at >= planned.occurred_at - INTERVAL 28 DAY) AS spend,
       sum(baskets.revenue) AS revenue,
       count(*) AS n_ever
FROM planned JOIN baskets
  ON baskets.customer_id = planned.customer_id AND baskets.occurred_at < planned.occurred_at
GROUP BY planned.decision
"""

# A purpose is permitted where the latest decision of every account of the household is a grant that has been
# recorded and has not ended. An account not yet opened has no say; the loyalty card must have one.
_PERMISSIONS = """
CREATE OR REPLACE TEMP TABLE permissions AS
WITH asked AS (
    SELECT planned.decision, planned.occurred_at, accounts.customer_id, purposes.purpose,
           accounts.customer_id = planned.customer_id AS is_card
    FROM planned
    JOIN accounts ON accounts.household_id = planned.customer_id
    CROSS JOIN (SELECT DISTINCT purpose FROM ledger) AS purposes
), answered AS (
    SELECT asked.decision, asked.purpose, asked.is_card,
           ledger.granted AND ledger.recorded_at < asked.occurred_at
           AND coalesce(ledger.expires_at > asked.occurred_at, true) AS permits
    FROM asked ASOF JOIN ledger
      ON ledger.customer_id = asked.customer_id AND ledger.purpose = asked.purpose
     AND asked.occurred_at > ledger.occurred_at
), permitted AS (
    SELECT decision, purpose FROM answered
    GROUP BY decision, purpose HAVING bool_and(permits) AND bool_or(is_card)
)
SELECT decision,
       bool_or(purpose = 'marketing_email') AS email,
       bool_or(purpose = 'marketing_sms') AS sms,
       bool_or(purpose = 'marketing_push') AS push
FROM permitted GROUP BY decision
HAVING bool_or(purpose = 'analytics') AND bool_or(purpose = 'personalisation')
   AND bool_or(purpose LIKE 'marketing_%')
"""

_JOINED = """
SELECT decision, seconds / 86400 AS days, n_baskets, coalesce(spend, 0)::DOUBLE AS spend,
       revenue::DOUBLE / n_ever AS mean_basket, email, sms, push
FROM behaviour JOIN permissions USING (decision) ORDER BY decision
"""


def plan_contacts(
    connection: Backend, households: pd.DataFrame, *, accounts: pd.DataFrame, ledger: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Return the decisions that may be taken, household by household and in the order of time.

    Args:
        connection: DuckDB with the table `baskets` (see `describe_households`).
        households: One row a household: customer_id, customer_type.
        accounts: One row a customer_id: customer_id, household_id.
        ledger: The consents.
        seed: Seed of the data set.

    Returns:
        `household` (its number), `customer_id`, `customer_type` (its place in CUSTOMER_TYPES), `occurred_at`;
        from the receipts before it `days` since the last, `n_baskets` and `spend` in 28 days, `mean_basket`
        of all; from the ledger whether `email`, `sms`, `push` may be sent. Without a receipt before it, or
        without a channel permitted, there is no decision.
    """
    planned = _turns(households, stream(seed, "demo contact times"))
    connection.con.register("planned", planned[["decision", "customer_id", "occurred_at"]])
    connection.con.register("accounts", accounts[["customer_id", "household_id"]])
    connection.con.register("ledger", ledger)
    connection.raw_sql(_BEHAVIOUR)
    connection.raw_sql(_PERMISSIONS)
    return planned.merge(connection.con.execute(_JOINED).df(), on="decision", how="inner")


def _turns(households: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return when each household's turn comes: a day in each round, an hour of that day."""
    n, step = len(households), N_DAYS / N_ROUNDS
    day = np.floor(step * (rng.random((n, 1)) + np.arange(N_ROUNDS))).astype("timedelta64[D]")
    hour = rng.choice(HOURS, size=(n, N_ROUNDS), p=_HOUR_WEIGHTS / _HOUR_WEIGHTS.sum())
    second = (3600 * hour + rng.integers(3600, size=(n, N_ROUNDS))).astype("timedelta64[s]")
    kind = pd.Categorical(households["customer_type"], categories=CUSTOMER_TYPES).codes
    return pd.DataFrame(
        {
            "decision": np.arange(n * N_ROUNDS),
            "household": np.arange(n).repeat(N_ROUNDS),
            "customer_id": households["customer_id"].to_numpy().repeat(N_ROUNDS),
            "customer_type": kind.repeat(N_ROUNDS),
            "occurred_at": (FIRST_DAY + day + second).astype("datetime64[us]").ravel(),
        }
    )
