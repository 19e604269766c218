"""From features to numbers, and the resamplers that balance them: the first steps of every pipeline."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from imblearn.base import BaseSampler
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

RARE_LEVEL = 20
"""Levels of a category with fewer training rows than this are pooled."""

MANY_LEVELS = 30
"""A category with more levels than this, after pooling, is a number: its cross-fitted response rate."""

FARTHEST = 3.0
"""Standard deviations beyond which a number counts as this far, so that a line does not extrapolate."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """An unfitted encoder and the places of what it writes: numbers, then marks, then codes.

    Attributes:
        transformer: Numbers filled with the median and standardised; response rates of categories with many
            levels, cross-fitted (each row's from folds without it) and standardised; marks of missing numbers;
            ordinal codes of the other categories.
        n_numbers: Columns that are quantities: numbers and response rates.
        n_columns: All columns.
        first_word: Place of the first ordinal code.
    """

    transformer: ColumnTransformer
    n_numbers: int
    n_columns: int
    first_word: int

    def one_hot(self, *, clip: bool) -> ColumnTransformer:
        """Make the unfitted step that follows: a column a code, and numbers held within 3 deviations if asked."""
        words = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
        parts = [("words", words, list(range(self.first_word, self.n_columns)))]
        if clip:
            held = FunctionTransformer(np.clip, kw_args={"a_min": -FARTHEST, "a_max": FARTHEST})
            parts.insert(0, ("numbers", held, list(range(self.n_numbers))))
        return ColumnTransformer(parts, remainder="passthrough")


def encoding(features: pd.DataFrame, *, rng: np.random.Generator) -> Encoding:
    """Make the unfitted encoder of a frame.

    Args:
        features: The rows it will be fitted on: float64 columns are numbers, all others categories.
        rng: Draws the folds of the cross-fitted response rates (Micci-Barreca 2001; scikit-learn's
            TargetEncoder).
    """
    numbers = [name for name in features if pd.api.types.is_float_dtype(features[name])]
    # Columns that are missing together, as all of a snapshot's are, need one mark.
    patterns = {features[name].isna().to_numpy().tobytes(): name for name in reversed(numbers)}
    missing = [name for name in numbers if name in patterns.values() and features[name].isna().any()]
    texts = [name for name in features if name not in numbers]
    many = [name for name in texts if (features[name].value_counts() >= RARE_LEVEL).sum() > MANY_LEVELS]
    words = [name for name in texts if name not in many]
    seed = int(rng.integers(2**31))
    fill = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=RARE_LEVEL)
    rates = make_pipeline(clone(codes), TargetEncoder(target_type="binary", random_state=seed), StandardScaler())
    parts = [
        ("numbers", fill, numbers),
        ("levels", rates, many),
        ("missing", MissingIndicator(features="all"), missing),
        ("words", codes, words),
    ]
    n_numbers = len(numbers) + len(many)
    first_word = n_numbers + len(missing)
    return Encoding(
        transformer=ColumnTransformer(parts),
        n_numbers=n_numbers,
        n_columns=first_word + len(words),
        first_word=first_word,
    )


def resampler(kind: str, encoded: Encoding, responded: np.ndarray, *, rng: np.random.Generator) -> BaseSampler:
    """Make the unfitted step that balances responders and others.

    Args:
        kind: "undersample", which drops others at random, or "smote", which invents responders: it interpolates
            numbers and takes categories from the neighbours' majority (SMOTENC; Chawla et al. 2002).
        encoded: What the encoder writes.
        responded: 0 or 1, of the rows it will see; SMOTE takes 5 neighbours where there are as many.
        rng: Seeds it.
    """
    seed = int(rng.integers(2**31))
    if kind == "undersample":
        return RandomUnderSampler(random_state=seed)
    responses = int(responded.sum())
    near = min(5, responses - 1, len(responded) - responses - 1)
    if encoded.n_numbers == encoded.n_columns:
        return SMOTE(k_neighbors=near, random_state=seed)
    if encoded.n_numbers == 0:
        return SMOTEN(k_neighbors=near, random_state=seed)
    return SMOTENC(list(range(encoded.n_numbers, encoded.n_columns)), k_neighbors=near, random_state=seed)
