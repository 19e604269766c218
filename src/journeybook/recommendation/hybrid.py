"""Ways of scoring put together: weights of a logistic regression, learned where no method has learned."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from journeybook.recommendation.lists import Bought, greatest
from journeybook.recommendation.methods import CONTENT, EASE, RECENT, REPEAT, SIMILAR, Array

COMPONENTS = (RECENT, REPEAT, SIMILAR, EASE, CONTENT)
# Products of each method that a person's purchases are told apart among.
N_CANDIDATES = 20


@dataclass(frozen=True, eq=False)
class Stack:
    """Methods and their weights.

    Attributes:
        names: Methods, in order.
        weights: Weight of each method's features, shape (methods,).
        slope: Gradient of the penalised likelihood at these weights, greatest part: 0 at its maximum.
        n: Pairs of person and product that they were learned from.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    slope: float
    n: int

    def combine(self, scores: Mapping[str, Array]) -> Array:
        """Return the scores of the hybrid; of whom no method knows anything, recent popularity."""
        total = np.zeros_like(scores[self.names[0]])
        for name, weight in zip(self.names, self.weights, strict=True):
            total = total + np.float32(weight) * feature(name, scores[name])
        unknown = np.all([scores[n].max(axis=1) <= 0 for n in self.names if n != RECENT], axis=0)
        return np.where(unknown[:, None], scores[RECENT], total)


def feature(name: str, scores: Array) -> Array:
    """Return scores that can be added: counts by their logarithm, others as a share of the person's best."""
    above = np.maximum(scores, 0)
    if name in (RECENT, REPEAT):
        return np.log1p(above)
    most = above.max(axis=1, keepdims=True)
    return np.sqrt(above / np.where(most > 0, most, 1))


def learn(
    blocks: Iterator[tuple[NDArray[np.int64], dict[str, Array], NDArray[np.bool_] | None]],
    bought: Bought,
    products: NDArray[np.int64],
) -> Stack | None:
    """Learn weights from what people bought in the window, among the best products of each method.

    Args:
        blocks: Places of people, each method's scores of them, and what may not be offered.
        bought: What they bought in the window.
        products: Place of each product of the catalogue.

    Returns:
        None where fewer than two methods stand, or nothing or all was bought.
    """
    rows, labels = [], []
    names: tuple[str, ...] = ()
    for person, scores, barred in blocks:
        names = tuple(name for name in COMPONENTS if name in scores)
        active = bought.n[person] > 0
        wanted = np.zeros(scores[names[0]].shape, dtype=np.bool_)
        for name in names:
            best = greatest(scores[name], barred, k=N_CANDIDATES)
            wanted[np.arange(len(wanted))[:, None], np.maximum(best, 0)] = True
        wanted = wanted & active[:, None] if barred is None else wanted & active[:, None] & ~barred
        row, column = np.nonzero(wanted)
        rows.append(np.column_stack([feature(name, scores[name])[row, column] for name in names]))
        labels.append(bought.spent_on(products[column][:, None], person[row])[0][:, 0])
    x, y = np.vstack(rows).astype(float), np.concatenate(labels)
    if len(names) < 2 or y.all() or not y.any():
        return None
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(C=1.0, tol=1e-6, max_iter=1000).fit((x - centre) / scale, y)
    missed = model.predict_proba((x - centre) / scale)[:, 1] - y
    slope = (missed @ ((x - centre) / scale) + model.coef_[0]) / len(y)
    return Stack(names, model.coef_[0] / scale, float(np.abs(slope).max()), len(y))
