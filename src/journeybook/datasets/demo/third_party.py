"""What a data vendor says of postcodes, and where the households live.

There are 120 postcodes with customers and 30 without. Each has an affluence, and households that spend more
tend to live in affluent ones: the correlation is drawn from the seed and kept in `truth/parameters`. The vendor
sends two releases (1 July 2016 and 1 July 2017); between them incomes grow and shift. Published faults:

    postcodes missing from a release      8 % of 2016, 5 % of 2017, drawn apart
    leading zeros lost                    every such postcode of 2016 (it was a spreadsheet)
    written as ZIP+4                      15 % of 2017
    an attribute empty                    3 % of values

`families_share` and `density_per_km2` have nothing to do with spending.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from journeybook.statistics import stream

RELEASES = (np.datetime64("2016-07-01", "us"), np.datetime64("2017-07-01", "us"))
MISSING_RATES = (0.08, 0.05)
ZIP_PLUS_FOUR_RATE = 0.15
EMPTY_RATE = 0.03
N_POSTCODES = 120
N_WITHOUT_CUSTOMERS = 30
N_DISTRICTS = 10

# Attributes, and whether they are whole numbers.
ATTRIBUTES = {"median_income": True, "owner_share": False, "families_share": False, "density_per_km2": True}


@dataclass(frozen=True, eq=False)
class DemoThirdParty:
    """Postcodes, their attributes as sold, and the truth.

    Attributes:
        table: `third_party` as the vendor sends it: postcode, as_of, attributes.
        areas: Every postcode with its true attributes by release, and whether the release lists it.
        postcodes: Postcodes with customers, from the least to the most affluent, shape (120,).
        home: Index into `postcodes` of each household's home, in the order of the households.
        correlation: Planted, of how much households spend and how affluent they live.
    """

    table: pd.DataFrame
    areas: pd.DataFrame
    postcodes: np.ndarray
    home: np.ndarray
    correlation: float


def simulate_third_party(households: pd.DataFrame, *, seed: int) -> DemoThirdParty:
    """Draw the postcodes, who lives where by what they `spend`, and two releases of attributes."""
    rng = stream(seed, "demo third party")
    correlation = rng.uniform(0.40, 0.60)
    postcodes = _draw_postcodes(N_POSTCODES + N_WITHOUT_CUSTOMERS, rng)
    affluence = np.append(np.sort(rng.standard_normal(N_POSTCODES)), rng.standard_normal(N_WITHOUT_CUSTOMERS))
    areas = _releases(postcodes, affluence, rng)
    table = _as_sold(areas, rng)
    home = _settle(households["spend"].to_numpy(dtype=float), correlation, rng)
    return DemoThirdParty(table, areas, postcodes[:N_POSTCODES], home, correlation)


def third_party_truth(vendor: DemoThirdParty, postcodes: pd.DataFrame) -> pd.DataFrame:
    """Return what a perfect join would find of where each household lives at the end of 2017.

    One row a `customer_id` and `as_of`: `postcode`, `listed` (the release has it, in whatever spelling),
    attributes.
    """
    found = postcodes.merge(vendor.areas, on="postcode", how="left", validate="many_to_many")
    found = found.sort_values("as_of", kind="stable", ignore_index=True)
    return found[["customer_id", "as_of", "postcode", "listed", *ATTRIBUTES]]


def _draw_postcodes(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return different postcodes in ten districts (the first three digits), three of them with a leading zero."""
    low, high = rng.choice(np.arange(10, 100), 3, replace=False), rng.choice(np.arange(100, 990), 7, replace=False)
    numbers = [100 * d + rng.choice(100, n // N_DISTRICTS, replace=False) for d in np.concatenate([low, high])]
    return np.array([f"{number:05d}" for number in rng.permutation(np.concatenate(numbers))])


def _settle(spend: np.ndarray, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Return each household's postcode by rank: the more it spends the more affluent, with noise."""
    n = len(spend)
    score = ndtri((np.argsort(np.argsort(spend, kind="stable")) + 0.5) / n)
    taste = correlation * score + np.sqrt(1 - correlation**2) * rng.standard_normal(n)
    sizes = rng.gamma(2.0, size=N_POSTCODES)
    edges = np.cumsum(sizes / sizes.sum())
    place = (np.argsort(np.argsort(taste, kind="stable")) + 0.5) / n
    return np.minimum(np.searchsorted(edges, place), N_POSTCODES - 1)


def _releases(postcodes: np.ndarray, affluence: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Return the true attributes of every postcode at both releases, and whether the release lists it."""
    n = len(postcodes)
    owners = 1 / (1 + np.exp(-(0.4 + 0.6 * affluence + 0.5 * rng.standard_normal(n))))
    families, density = rng.beta(6, 10, n), rng.lognormal(6.5, 1.1, n)
    releases = []
    for k, (as_of, missing) in enumerate(zip(RELEASES, MISSING_RATES, strict=True)):
        income = np.exp(10.95 + 0.28 * affluence + k * (0.03 + 0.02 * rng.standard_normal(n)))
        attributes = {
            "median_income": np.round(income, -2).astype("int64"),
            "owner_share": np.round(owners, 3),
            "families_share": np.round(families + 0.01 * k * rng.standard_normal(n), 3),
            "density_per_km2": np.round(density * 1.01**k).astype("int64"),
        }
        listed = rng.random(n) >= missing
        releases.append(pd.DataFrame({"postcode": postcodes, "as_of": as_of, "listed": listed, **attributes}))
    return pd.concat(releases, ignore_index=True)


def _as_sold(areas: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows the vendor sends, with its faults."""
    sold = areas[areas["listed"]].drop(columns="listed").reset_index(drop=True)
    spreadsheet = (sold["as_of"] == RELEASES[0]).to_numpy()
    long = ~spreadsheet & (rng.random(len(sold)) < ZIP_PLUS_FOUR_RATE)
    four = rng.integers(1, 10_000, len(sold))
    sold["postcode"] = [
        code.lstrip("0") if s else f"{code}-{f:04d}" if z else code
        for code, s, z, f in zip(sold["postcode"], spreadsheet, long, four, strict=True)
    ]
    for name, whole in ATTRIBUTES.items():
        values = sold[name].astype("float64").mask(rng.random(len(sold)) < EMPTY_RATE)
        sold[name] = values.astype("Int64") if whole else values
    return sold.sort_values(["as_of", "postcode"], kind="stable", ignore_index=True)
