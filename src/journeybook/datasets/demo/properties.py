"""What each simulated event says beside its name: the release that sent it, and properties as JSON.

A release of the site lives a month, one of the app a quarter, and `BROKEN`, one of the app, only `BROKEN_DAYS`.
Its rows here are as sound as others; `faults.py` adds the broken ones.
"""

import numpy as np
import pandas as pd

from journeybook.datasets.demo.event_chains import PURCHASE
from journeybook.statistics import stream

BROKEN = "app-5.3.1"
BROKEN_DAYS = 12
SITE = "https://shop.example"
PAYMENTS, _PAID_BY = ("card", "wallet", "voucher"), (0.7, 0.25, 0.05)
_OF_PRODUCT = ("product", "review", "basket")
# One review in ten is written, seven in ten of these are good; nothing else in the demo goes with their tone.
WRITTEN_SHARE, GOOD_SHARE = 0.1, 0.7
GOOD = ("I love it.", "Great, I will buy it again.", "Works very well and looks nice.")
BAD = ("Terrible quality.", "It was broken, a waste of money.", "Not good, I am disappointed.")


def with_properties(events: pd.DataFrame, *, products: np.ndarray, seed: int) -> pd.DataFrame:
    """Return events with `release`, `text` and `properties`: page_url, referrer, product_id, quantity, payment.

    `products` are ids to draw from. Who looks at, reviews and lays in a product need not take the same one.
    """
    rng, n = stream(seed, "events: properties"), len(events)
    at = events["occurred_at"]
    first, last = at.min(), at.max()
    starts = (first + rng.uniform(0.35, 0.65) * (last - first)).floor("D")
    app = (events["device"] == "app").to_numpy()
    broken = app & at.between(starts, starts + pd.Timedelta(days=BROKEN_DAYS), inclusive="left").to_numpy()
    number = (12 * (at.dt.year - first.year) + at.dt.month).to_numpy()
    months = range(number.max() + 1)
    on_app, on_site = [f"app-5.{(k - 1) // 3}" for k in months], [f"web-{k}" for k in months]
    release = np.where(app, np.array(on_app)[number], np.array(on_site)[number])
    product = products[(len(products) * rng.random(n) ** 3).astype(int)]
    quantity = rng.geometric(0.7, n).clip(max=9)
    payment = np.array(PAYMENTS)[rng.choice(len(PAYMENTS), n, p=_PAID_BY)]
    channel = events["channel"].where((events["position"] == 1) & (events["channel"] != "direct"), "")
    told = []
    # A plain list is walked through several times as fast.
    columns = [
        np.asarray(c, dtype=object).tolist() for c in (events["event"], channel, product, quantity, payment)
    ]
    for name, source, taken, many, paid in zip(*columns, strict=True):
        shown = f"/{taken}" if name == "product" else ""
        said = f'{{"page_url": "{SITE}/{name}{shown}"'
        said += f', "referrer": "https://{source}.example"' if source else ""
        said += f', "product_id": "{taken}"' if name in _OF_PRODUCT else ""
        said += f', "quantity": {many}' if name in ("basket", PURCHASE) else ""
        said += f', "payment": "{paid}"' if name == PURCHASE else ""
        told.append(said + "}")
    sent = {"release": np.where(broken, BROKEN, release), "properties": told, "text": _texts(events, seed)}
    return events.assign(**{name: pd.array(values, dtype="str") for name, values in sent.items()})


def _texts(events: pd.DataFrame, seed: int) -> np.ndarray:
    """What was written in each step, shape (n,); None of most."""
    rng, n = stream(seed, "events: texts"), len(events)
    writes = (events["event"] == "review").to_numpy() & (rng.random(n) < WRITTEN_SHARE)
    said = np.where(rng.random(n) < GOOD_SHARE, rng.choice(GOOD, n), rng.choice(BAD, n)).astype(object)
    said[~writes] = None
    return said
