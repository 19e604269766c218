"""Experiments that come summed up: a row an arm with counts, or with mean, standard deviation and n."""

import numpy as np
import pandas as pd

from journeybook.experiments.variants import SUMMED

TABLE = "experiment_arms"
_OWN = ("row", "variant", "n", "stratum", "metric", "successes", "mean", "sd", "unconverted", "person_id")


def summed_arms(table: pd.DataFrame) -> pd.DataFrame:
    """One row a stratum, variant and metric, from rows of the table `experiment_arms`.

    Every further column that holds numbers counts units of the `n`; `metric` names what `successes`, or `mean` and
    `sd`, are of. A share keeps the standard deviation of its units, with n - 1 below.

    Returns:
        `row` and the columns `SUMMED`; `kind` is proportion or mean, `stratum` empty where there is none.

    Raises:
        ValueError: A count is no whole number from 0 to n, a mean has no sd, an arm has two rows of one metric, or
            there is no metric.
    """
    stratum = table["stratum"].astype("string").fillna("") if "stratum" in table else ""
    about = table[["row", "variant"]].assign(stratum=stratum, n_units=table["n"])
    further = [c for c in table.columns if c not in _OWN and pd.api.types.is_numeric_dtype(table[c])]
    parts = [_shares(about, table[name], name) for name in further]
    if "metric" in table:
        named = table["metric"].notna()
        names, own = table["metric"][named], about[named]
        successes, mean, sd = (
            table[c][named] if c in table else pd.Series(np.nan, index=own.index)
            for c in ("successes", "mean", "sd")
        )
        lacking = successes.isna() & mean.notna() & sd.isna()
        if lacking.any():
            raise ValueError(
                f"{TABLE}: metric '{names[lacking].iloc[0]}' has a mean and no sd, without which no interval is "
                "known; map sd (`se * sqrt(n)` of a standard error), or successes where it is a share."
            )
        counted = successes.notna()
        parts += [_shares(own[counted], successes[counted], names[counted])]
        kept = ~counted & mean.notna()
        parts += [own[kept].assign(metric=names[kept], kind="mean", mean=mean[kept], sd=sd[kept])]
    rows = pd.concat([part for part in parts if len(part)] or [about.head(0)], ignore_index=True)
    if rows.empty:
        text = [
            f"'{c}' holds '{table[c].iloc[0]}', which is no count; " for c in table if c not in (*_OWN, *further)
        ]
        raise ValueError(
            f"{TABLE}: no metric is mapped; {''.join(text[:1])}map a count as a column of its own, or metric with "
            "successes or mean."
        )
    key = ["stratum", "variant", "metric"]
    twice = rows[rows.duplicated(key)]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(
            f"{TABLE}: variant '{first['variant']}' has several rows of '{first['metric']}'; map what tells them "
            "apart, such as the campaign or the day, as stratum."
        )
    rows = rows.astype({"variant": "str", "stratum": "str", "metric": "str", "mean": "float64", "sd": "float64"})
    return rows[["row", *SUMMED]].assign(n_units=rows["n_units"].astype("int64"))


def _shares(about: pd.DataFrame, count: pd.Series, metric: str | pd.Series) -> pd.DataFrame:
    """Rows of a share, from how many of the units it is true of; a row without a count is left out."""
    rows = about.assign(metric=metric, kind="proportion", count=count.astype("Float64")).dropna(subset="count")
    k, n = rows["count"].astype("float64"), rows["n_units"].astype("float64")
    wrong = rows[(k != k.round()) | (k < 0) | (k > n)]
    if len(wrong):
        first = wrong.iloc[0]
        raise ValueError(
            f"{TABLE}: row {first['row']} has {first['count']:,.10g} of '{first['metric']}' in "
            f"{first['n_units']:,} units; a count from 0 to n is needed. Map a mean as metric, mean and sd, a "
            "rate as `round(rate * n)`."
        )
    share = k / n
    rows["mean"], rows["sd"] = share, np.sqrt(share * (1 - share) * n / (n - 1).where(n > 1))
    return rows.drop(columns="count")
