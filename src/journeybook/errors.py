"""The errors a user is meant to read, and the right name for a wrong one."""

import difflib
from collections.abc import Iterable

_MOST_NAMES = 30


class JourneybookError(ValueError):
    """Data or parameters cannot be used; the message is one sentence: what, where, found, needed."""


class TooLittle(JourneybookError):
    """The data are too few or too much alike for a page: it is listed as not run, and that is no mistake."""


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Return a clause that names the nearest right name, in whatever case, or all of them up to thirty.

    >>> nearest("Max_segment", ["max_segments", "resamples"])
    'did you mean max_segments?'
    >>> nearest("x", ["max_segments", "resamples"])
    'allowed: max_segments, resamples.'
    """
    names = list(allowed)
    by_lower = {right.lower(): right for right in names}
    if close := difflib.get_close_matches(str(name).lower(), by_lower, n=1):
        return f"did you mean {by_lower[close[0]]}?"
    return f"allowed: {list_names(names)}." if names else "there is none."


def list_names(names: Iterable[object]) -> str:
    """Return names for a message, up to thirty of them."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - _MOST_NAMES} more" if len(shown) > _MOST_NAMES else ""
    return ", ".join(shown[:_MOST_NAMES]) + more
