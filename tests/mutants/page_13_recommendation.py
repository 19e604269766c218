"""Errors planted in page 13."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from journeybook.recommendation.lists import NEW
from mutants.planted import Mutant

PARAMETERS = {"n_draws": 200, "least_buyers": 2, "n_products": 1000, "n_ease": 200, "min_group_size": 20}
PAGE = "journeybook.recommendation"


def _returns_are_purchases(sound: Callable) -> Callable:
    """A product's lines of one day are counted each, and not the day once."""

    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        return replace(found, days=found.days * 2)

    return wrong


def _sees_the_future(sound: Callable) -> Callable:
    """What is known before the split goes on for a week after it."""

    def wrong(purchases: Any, catalogue: Any, *, before: int, **asked: Any) -> Any:
        return sound(purchases, catalogue, before=before + 7, **asked)

    return wrong


def _old_as_new(sound: Callable) -> Callable:
    """Days count from the end of the data, not from the day asked."""

    def wrong(purchases: Any, catalogue: Any, *, before: int, half_life_days: float, **asked: Any) -> Any:
        return sound(purchases, catalogue, before=before, half_life_days=half_life_days * 2, **asked)

    return wrong


def _repeats_are_new(sound: Callable) -> Callable:
    """Purchases after the split count as new though they were made before."""

    def wrong(purchases: Any, *, task: str, **asked: Any) -> Any:
        return (
            sound(purchases, task="any purchase", **asked) if task == NEW else sound(purchases, task=task, **asked)
        )

    return wrong


def _dot_for_cosine(sound: Callable) -> Callable:
    """Likeness is divided by one product's buyers, not by the root of both."""

    def wrong(days: Any, **asked: Any) -> Any:
        found = sound(days, **asked)
        buyers = np.maximum(np.diff(days.tocsc().indptr), 1)
        return sparse.csr_array(sparse.diags_array(np.sqrt(1 / buyers)) @ found).astype(np.float32)

    return wrong


def _diagonal_kept(sound: Callable) -> Callable:
    """EASE explains a product by itself."""

    def wrong(days: Any, *, ridge: float) -> Any:
        found = sound(days, ridge=ridge).copy()
        found[np.diag_indices_from(found)] = 1
        return found

    return wrong


def _gains_from_zero(sound: Callable) -> Callable:
    """The discount of nDCG begins one place late."""

    def wrong(products: Any, bought: Any, person: Any) -> Any:
        later = np.roll(products, 1, axis=1)
        return sound(products, bought, person).assign(ndcg=sound(later, bought, person)["ndcg"])

    return wrong


def _precision_of_found(sound: Callable) -> Callable:
    """Recall is divided by what a list can hold, not by all that was bought."""

    def wrong(products: Any, bought: Any, person: Any) -> Any:
        found = sound(products, bought, person)
        n = bought.n[found["person"]]
        return found.assign(recall=found["recall"] * n / np.minimum(n, products.shape[1]))

    return wrong


def _unpaired(sound: Callable) -> Callable:
    """Differences are compared as if the methods were judged on other people."""

    def wrong(task: str, people: Any, drawn: Any) -> Any:
        rows = sound(task, people, drawn)
        for row in rows:
            row["error"] = float(np.hypot(drawn[row["method"]].std(), drawn[row["other"]].std()))
        return rows

    return wrong


def _rare_offered(sound: Callable) -> Callable:
    """Products that hardly anybody bought, or that are sold no more, are offered."""

    def wrong(purchases: Any, known: Any, *, least_buyers: int, n_products: int, **asked: Any) -> Any:
        return sound(purchases, known, least_buyers=1, n_products=len(purchases.products), **asked)

    return wrong


def _least_liked(sound: Callable) -> Callable:
    """Lists are written from the last place to the first."""

    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        last = found.groupby("person_id")["rank"].transform("max")
        return found.assign(rank=last + 1 - found["rank"])

    return wrong


def _one_person_s_list(sound: Callable) -> Callable:
    """Each person gets the next one's list."""

    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        people = found["person_id"].unique()
        return found.assign(person_id=found["person_id"].map(dict(zip(people, np.roll(people, 1), strict=True))))

    return wrong


def _model_of_before(sound: Callable) -> Callable:
    """The saved model has the products of another day, in another order."""
    return lambda model: sound(replace(model, products=np.roll(model.products, 1)))


def _stops_early(sound: Callable) -> Callable:
    """The weights of the hybrid are those of a fit that stopped early."""

    class Hasty(sound):  # type: ignore[misc, valid-type]
        def __init__(self, **how: Any) -> None:
            super().__init__(**(how | {"max_iter": 1}))

    return Hasty


def _groups_shifted(sound: Callable) -> Callable:
    """Groups are joined to people by place, and the places are one off."""

    def wrong(*given: Any, **asked: Any) -> Any:
        return {kind: label.shift(1) for kind, label in sound(*given, **asked).items()}

    return wrong


def _replay_unweighted(sound: Callable) -> Callable:
    """The log is replayed without the propensities: what was shown often counts more."""

    def wrong(lists: Any, appeal: Any, past: Any, rng: Any) -> Any:
        popular = past.sum(axis=0) + 1.0
        tilted = appeal * popular / popular.mean()
        return sound(lists, np.clip(tilted, 0, 1), past, rng)

    return wrong


MUTANTS = [
    Mutant("counted_twice", "days are counted twice", f"{PAGE}.judging:histories_of", _returns_are_purchases),
    Mutant(
        "sees_the_future", "methods know a week after the split", f"{PAGE}.judging:histories_of", _sees_the_future
    ),
    Mutant("half_life_doubled", "purchases age at half the pace", f"{PAGE}.judging:histories_of", _old_as_new),
    Mutant("repeats_are_new", "repeats count as discoveries", f"{PAGE}.judging:bought_in", _repeats_are_new),
    Mutant(
        "dot_for_cosine",
        "likeness is divided by the wrong number of buyers",
        f"{PAGE}.methods:similar_products",
        _dot_for_cosine,
    ),
    Mutant(
        "diagonal_kept", "EASE explains a product by itself", f"{PAGE}.methods:ease_coefficients", _diagonal_kept
    ),
    Mutant(
        "discount_late", "the discount of nDCG begins a place late", f"{PAGE}.judging:by_person", _gains_from_zero
    ),
    Mutant(
        "recall_of_list", "recall is of what a list can hold", f"{PAGE}.judging:by_person", _precision_of_found
    ),
    Mutant("unpaired", "pairs are compared as if unpaired", f"{PAGE}.judging:_pairs", _unpaired),
    Mutant("rare_offered", "products nobody buys are offered", f"{PAGE}.judging:catalogue_of", _rare_offered),
    Mutant("ranks_reversed", "lists are written backwards", f"{PAGE}:recommend", _least_liked),
    Mutant("another_s_list", "each person gets another's list", f"{PAGE}:recommend", _one_person_s_list),
    Mutant(
        "stale_model", "the saved model has its products in another order", f"{PAGE}:pack_model", _model_of_before
    ),
    Mutant("stops_early", "the hybrid's weights stop early", f"{PAGE}.hybrid:LogisticRegression", _stops_early),
    Mutant("groups_shifted", "groups are one person off", f"{PAGE}.groups:_labels", _groups_shifted),
    Mutant("replay_unweighted", "a log is replayed unweighted", f"{PAGE}.online:_replayed", _replay_unweighted),
]
