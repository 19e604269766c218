"""Names of segments: a number that orders them, and a word for what sets each apart."""

import numpy as np
import pandas as pd

# Means this many standard deviations from everyone's are worth a word.
WORTH_A_WORD_SD = 0.5
# A preferred word is taken where it says at least this share of what the strongest says.
NEARLY = 0.8
PREFERRED = ("lapsing", "frequent", "new")

# How a feature's name begins, and what people are called where it is low, and where it is high.
_CALLED = {
    "recency_days": ("recent", "lapsing"),
    "n_baskets": ("occasional", "frequent"),
    "gap_days": ("frequent", "occasional"),
    "revenue": ("low-spending", "high-spending"),
    "mean_basket": ("small-basket", "big-basket"),
    "tenure_days": ("new", "long-standing"),
    "discount_share": ("full-price", "discount-seeking"),
    "weekend_share": ("weekday", "weekend"),
    "morning_share": ("later-hours", "morning"),
    "evening_share": ("earlier-hours", "evening"),
    "n_": ("few-{}", "many-{}"),
    "share_": ("{}-light", "{}-heavy"),
    "": ("low-{}", "high-{}"),
}


def name_segments(standardised: pd.DataFrame) -> list[str]:
    """Return a name for each segment: its place, and the word for what sets it most apart from everyone.

    Features that call for the same word speak together, by their mean distance. The segment furthest from everyone
    chooses first, and no word is given twice. Who is near everyone, or finds no word left, is average.
    `standardised` has means in standard deviations from everyone's, a row a segment.

    >>> far = {"n_baskets_91d": [0.9, -0.2, -1.4], "recency_days": [-0.7, 0.0, 1.4], "revenue": [0.7, 0, -1.5]}
    >>> name_segments(pd.DataFrame(far))
    ['1 frequent', '2 average', '3 lapsing']
    """
    strengths = [_strengths(away) for _, away in standardised.iterrows()]
    words = ["average"] * len(strengths)
    for place in np.argsort([-told.max() for told in strengths], kind="stable"):
        told = strengths[place].drop(words, errors="ignore")
        if told.max() <= WORTH_A_WORD_SD or told.empty:
            continue
        near = told[told >= NEARLY * told.max()]
        words[place] = next((word for word in PREFERRED if word in near), near.idxmax())
    width = len(str(len(words)))
    return [f"{number:0{width}} {word}" for number, word in enumerate(words, start=1)]


def _strengths(away: pd.Series) -> pd.Series:
    """How strongly each word applies: the mean distance of the features that call for it."""
    found: dict[str, list[float]] = {}
    for feature, distance in away.items():
        start = next(start for start in _CALLED if str(feature).startswith(start))
        plain = str(feature).removeprefix(start).replace("_", "-")
        for word, towards in zip(_CALLED[start], (-distance, distance), strict=True):
            found.setdefault(word.format(plain), []).append(towards)
    return pd.Series({word: float(np.mean(towards)) for word, towards in found.items()})
