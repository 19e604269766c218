"""What the page is for: a list of each person with reasons, and a saved model that scores newcomers."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from journeybook.recommendation import methods as ways
from journeybook.recommendation.hybrid import Stack
from journeybook.recommendation.judging import Chosen, Judged, Known
from journeybook.recommendation.lists import NEW, Places, greatest, in_blocks
from journeybook.recommendation.methods import Array, Scorer, Settings
from journeybook.recommendation.purchases import Catalogue, Histories, Purchases

MANY = "bought by many of late"
# People scored at once.
_BLOCK = 200
# Days ago on which the people who are made up bought.
_MADE_UP = (3, 10, 24)


@dataclass(frozen=True, eq=False)
class Model:
    """What scores people, known or new, without a row of anybody.

    Attributes:
        way: Method of the lists; newcomers get recent popularity.
        products: `product_id` of what may be offered, the most bought first.
        catalogue: What is known of them.
        settings: Half-life and ridge.
        stack: Weights of the hybrid; None where another way was chosen.
        similar: Likeness of products.
        coefficients: Those of EASE, of its products.
        vectors: Words as TF-IDF; None without.
    """

    way: str
    products: NDArray[np.str_]
    catalogue: Catalogue
    settings: Settings
    stack: Stack | None
    similar: sparse.csr_array
    coefficients: Array
    vectors: sparse.csr_array | None

    @property
    def scorers(self) -> dict[str, Scorer]:
        """The methods that its lists need."""
        made = {
            ways.RECENT: ways.recent_popularity(self.catalogue),
            ways.POPULAR: ways.popularity(self.catalogue),
            ways.REPEAT: ways.repeat_purchases(self.catalogue),
            ways.SIMILAR: ways.item_similarity(self.similar, self.catalogue),
            ways.EASE: ways.ease(self.coefficients, self.catalogue),
        }
        if self.vectors is not None:
            made[ways.CONTENT] = ways.content(self.vectors, self.catalogue)
        return {name: made[name] for name in ((self.way,) if self.stack is None else self.stack.names)}

    def scores(self, histories: Histories) -> Array:
        """Return the scores of people, shape (people, offered); no sum in them is left to threads of BLAS."""
        found = {name: score(histories) for name, score in self.scorers.items()}
        scores = found[self.way] if self.stack is None else self.stack.combine(found)
        new = np.diff(histories.days.indptr) == 0
        return np.where(new[:, None], ways.recent_popularity(self.catalogue)(histories), scores)


def way_for(judged: Judged, *, task: str) -> str:
    """Return the best method that scores newcomers too, or the baseline that it does not clearly beat.

    Popularity by segment gives way to recent popularity: newcomers have no segment.
    """
    _, baseline = judged.best[task]
    foldable = judged.table[(judged.table["task"] == task) & ~judged.table["method"].isin([ways.ALS, ways.BPR])]
    best = str(foldable["method"].iloc[0])
    pairs = judged.pairs[judged.pairs["task"] == task]
    one = pairs[(pairs["method"] == baseline) & (pairs["other"] == best)]
    clear = len(one) and float(one["p_adjusted"].iloc[0]) < 0.05 and best != baseline
    way = best if clear else baseline
    return ways.RECENT if way == ways.BY_SEGMENT else way


def fit_model(purchases: Purchases, known: Known, chosen: Chosen, *, way: str, task: str) -> Model:
    """Fit what the lists need to all data."""
    with threadpool_limits(1):
        coefficients = ways.ease_coefficients(
            known.histories.days[:, : chosen.n_ease], ridge=chosen.settings.ridge
        )
    products = purchases.products[known.catalogue.products].astype(str)
    stack = chosen.stacks[task] if way == ways.HYBRID else None
    return Model(
        way, products, known.catalogue, chosen.settings, stack, known.similar, coefficients, known.vectors
    )


def recommend(purchases: Purchases, known: Known, model: Model, *, task: str, k: int) -> pd.DataFrame:
    """Return a list of each person with reasons.

    Returns:
        One row a person and rank: `person_id`, `rank` from 1, `product_id`, `score` (higher is better, comparable
        within a person), `method`, `reason` in words.
    """

    def block(rows: slice) -> tuple[Places, Array]:
        part, barred = known.histories.of(rows), known.barred[rows].toarray()
        if task == NEW:
            barred |= part.days.toarray() > 0
        scores = model.scores(part)
        places = greatest(scores, barred, k=k)
        return places, np.take_along_axis(scores, np.maximum(places, 0), axis=1)

    person = np.arange(len(purchases.people))
    places, values = map(np.vstack, zip(*in_blocks(len(person), block, size=_BLOCK), strict=True))
    past = purchases.lines[purchases.lines["day"] < known.before]
    past = past.drop_duplicates(["person", "product"], keep="last")
    last = sparse.csr_array(
        (past["day"], (past["person"], past["product"])), shape=(len(person), len(purchases.products))
    )
    ago = known.before - last[:, known.catalogue.products][person[:, None], np.maximum(places, 0)].toarray()
    table = _as_rows(places, values, model, known.histories, ago)
    return table.assign(person_id=purchases.people[table.pop("person")])[
        ["person_id", "rank", "product_id", "score", "method", "reason"]
    ]


def _as_rows(places: Places, scores: Array, model: Model, histories: Histories, ago: NDArray) -> pd.DataFrame:
    person, rank = np.nonzero(places >= 0)
    at = places[person, rank]
    shared = model.similar[at].multiply(histories.recent[person]).tocsr()
    own = np.asarray(histories.days[person, at]).ravel() > 0
    with_, known = np.asarray(shared.argmax(axis=1)).ravel(), np.asarray(shared.max(axis=1).toarray()).ravel() > 0
    names, days = model.catalogue.names, ago[person, rank]
    reasons = np.where(known, "bought with " + names[with_].astype(object), MANY)
    again = np.array([f"again after {n} day{'s' if n != 1 else ''}" for n in days.astype(int)], dtype=object)
    new = np.diff(histories.days.indptr)[person] == 0
    return pd.DataFrame(
        {
            "person": person,
            "rank": rank + 1,
            "product_id": model.products[at].astype(object),
            "score": scores[person, rank].astype(float),
            "method": np.where(new, ways.RECENT, model.way),
            "reason": np.where(own, again, reasons),
        }
    )


# --- the saved model ----------------------------------------------------------------------------------


def pack_model(model: Model) -> dict[str, bytes]:
    """Return a model as files, the same bytes each time and without pickle: arrays, and what they are."""
    c = model.catalogue
    arrays: dict[str, NDArray] = {}
    for name, matrix in (("similar", model.similar), ("vectors", model.vectors)):
        if matrix is not None:
            arrays |= {f"{name}_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr", "shape")}
    arrays |= {"products": model.products, "names": c.names.astype(str), "popularity": c.popularity}
    arrays |= {"recent": c.recent, "coefficients": model.coefficients}
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    stack = model.stack and {"names": model.stack.names, "weights": model.stack.weights.tolist()}
    about = {
        "format": 1,
        "model_sha256": hashlib.sha256(out.getvalue()).hexdigest(),
        "way": model.way,
        "half_life_days": model.settings.half_life_days,
        "ridge": model.settings.ridge,
        "stack": stack,
    }
    return {"model.npz": out.getvalue(), "contract.json": (json.dumps(about, indent=1) + "\n").encode()}


def unpack_model(files: Mapping[str, bytes]) -> Model:
    """Read a model back.

    Raises:
        ValueError: The arrays are not those that the contract was written for.
    """
    about = json.loads(files["contract.json"])
    if hashlib.sha256(files["model.npz"]).hexdigest() != about["model_sha256"]:
        raise ValueError("model.npz is not the file that contract.json was written for.")
    with np.load(io.BytesIO(files["model.npz"]), allow_pickle=False) as kept:
        arrays = {name: kept[name] for name in kept.files}
    matrices = {
        name: sparse.csr_array(
            tuple(arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr")),
            shape=arrays[f"{name}_shape"],
        )
        for name in ("similar", "vectors")
        if f"{name}_data" in arrays
    }
    n, stack = len(arrays["products"]), about["stack"]
    empty, names = np.full(n, "", dtype=object), arrays["names"].astype(object)
    catalogue = Catalogue(
        np.arange(n), arrays["popularity"], arrays["recent"], empty, names, empty, empty, left_out={}
    )
    return Model(
        about["way"],
        arrays["products"],
        catalogue,
        Settings(about["half_life_days"], about["ridge"]),
        stack and Stack(tuple(stack["names"]), np.array(stack["weights"]), 0.0, 0),
        matrices["similar"],
        arrays["coefficients"],
        matrices.get("vectors"),
    )


def recommend_newcomers(files: Mapping[str, bytes], bought: pd.DataFrame, *, task: str, k: int) -> pd.DataFrame:
    """Score people who are in no table, by a saved model.

    Args:
        files: What `pack_model` returns.
        bought: One row a person, product and day: `person` (a name or number), `product_id`, `days_ago` from 1.
        task: Whether lists are of any product, or only of those new to the person.
        k: Products on a list.

    Returns:
        One row a person and rank: `person`, `rank`, `product_id`, `name`, `score`, `method`, `reason`. Products
        that the model does not know tell it nothing.
    """
    model = unpack_model(files)
    place = {product: at for at, product in enumerate(model.products)}
    people = list(dict.fromkeys(bought["person"]))
    rows = bought[bought["product_id"].isin(place)]
    person, at = rows["person"].map(people.index), rows["product_id"].map(place)
    shape, ago = (len(people), len(place)), rows["days_ago"].to_numpy()
    weights = (np.ones(len(rows)), 0.5 ** ((ago - 1) / model.settings.half_life_days))
    days, recent = (sparse.csr_array((w.astype(np.float32), (person, at)), shape=shape) for w in weights)
    histories = Histories(days, recent, np.full(len(people), -1), np.full(len(people), -1))
    scores = model.scores(histories)
    places = greatest(scores, days.toarray() > 0 if task == NEW else None, k=k)
    last = np.full(shape, np.iinfo(np.int64).max)
    np.minimum.at(last, (person.to_numpy(), at.to_numpy()), ago)
    seen = np.take_along_axis(last, places, axis=1)
    table = _as_rows(
        places, np.take_along_axis(scores, places, axis=1), model, histories, np.where(seen < 1e6, seen, 0)
    )
    name = model.catalogue.names[[place[product] for product in table["product_id"]]]
    return table.assign(person=[people[i] for i in table["person"]], name=name)


def made_up(model: Model, known: Known) -> pd.DataFrame:
    """Return the purchases of three people who are made up: the best-known products of three categories."""
    categories, order = known.catalogue.categories, np.arange(len(model.products))
    first = list(dict.fromkeys(c for c in categories if c))[:3]
    picks = [order[categories == c][:3] for c in first] or [order[i::3][:3] for i in range(3)]
    return pd.DataFrame(
        [
            {"person": f"made up {n}", "product_id": model.products[at], "days_ago": ago}
            for n, places in enumerate(picks, start=1)
            for at, ago in zip(places, _MADE_UP, strict=False)
        ]
    )
