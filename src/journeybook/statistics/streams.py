"""Named random streams."""

import hashlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers that belong to a name and seed, the same at each call, independent of all others.

    >>> bool(stream(1, "bootstrap").integers(10) == stream(1, "bootstrap").integers(10))
    True
    """
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))
