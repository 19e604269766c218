"""Which contacts teach, which calibrate, which judge."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import ContactFrame
from journeybook.errors import TooLittle
from journeybook.findings import say_count

FEWEST = 10
"""Responses, and contacts without one, that every part must hold."""


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of contacts in `ContactFrame.rows`, by use; no contact has two uses.

    Attributes:
        fit: Positions that models are fitted on.
        calibrate: Positions that probabilities are calibrated on and a model is chosen on.
        test: Positions that judge; nothing is learned from them.
        purged: Positions used for nothing: their response window ends after the test begins, or after the data.
        how: "time", "person" or "draw".
        cut_at: First moment of the test, for a split by time; otherwise None.
        new: Whether each test contact is of a person met in neither `fit` nor `calibrate`, shape (test,); all
            False where contacts name nobody.
        warning: What a reader must know of this split; empty where there is nothing.
    """

    fit: np.ndarray
    calibrate: np.ndarray
    test: np.ndarray
    purged: np.ndarray
    how: str
    cut_at: pd.Timestamp | None
    new: np.ndarray
    warning: str

    @property
    def training(self) -> np.ndarray:
        """Positions of `fit` and `calibrate` together, sorted."""
        return np.sort(np.concatenate([self.fit, self.calibrate]))

    @property
    def seen_share(self) -> float:
        """Share of test contacts whose person was met in training, 0 to 1."""
        return float(1 - self.new.mean())


def split_contacts(
    contacts: ContactFrame,
    *,
    test_share: float,
    calibration_share: float,
    response_window_days: float,
    rng: np.random.Generator,
) -> Split:
    """Split by time where contacts have times, else by person, else by stratified draw.

    By time the latest contacts are the test, and a training contact whose response window reaches into it is
    purged: on the day the test begins nobody could know its outcome. The latest of the remaining contacts
    calibrate, more than their share where it would hold fewer than 10 responses or 10 others. People may be on
    both sides, as they are in use; `new` marks those who are not. Copies of a row stay on one side.

    `test_share` is met as closely as equal times allow; `calibration_share` is of the other contacts. A response
    counts within `response_window_days`. `rng` draws people or contacts where there are no times.

    Raises:
        ValueError: A share is out of range.
        TooLittle: A part would hold fewer than 10 responses or 10 other contacts.
    """
    for name, share in (("test_share", test_share), ("calibration_share", calibration_share)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must lie between 0 and 1, got {share}.")
    if response_window_days < 0:
        raise ValueError(f"response_window_days must be at least 0, got {response_window_days}.")
    rows, person = contacts.rows, contacts.rows["person"].to_numpy()
    purged, cut_at, warning = np.zeros(len(rows), dtype=bool), None, ""
    if contacts.has_times:
        how, times, window = "time", rows["occurred_at"], pd.Timedelta(days=response_window_days)
        unripe, warning = _unripe(times, rows["responded"].to_numpy(), window, known=contacts.says_cut_off)
        cut_at = _moment(times[~unripe], test_share, what="test_share")
        test = (times >= cut_at).to_numpy() & ~unripe
        purged = unripe | (~test & (times + window > cut_at).to_numpy())
        left = times[~test & ~purged]
        if left.empty:
            raise TooLittle(
                f"no contact is left to learn from: the test begins on {cut_at:%Y-%m-%d}, and the "
                f"response_window_days of {response_window_days} of every earlier contact end after that."
            )
        begins = min(
            _moment(left, calibration_share, what="calibration_share"),
            _last_with_enough(left, rows["responded"].to_numpy(dtype=bool)[~test & ~purged]),
        )
        calibrate = (times >= begins).to_numpy() & ~test & ~purged
    else:
        how = "person" if contacts.has_people else "draw"
        strata = rows["responded"].to_numpy() if how == "draw" else np.zeros(len(rows), dtype=int)
        learner = rows["_learner"].groupby(person).transform("any").to_numpy()
        if how == "draw":
            warning = (
                "The contacts have neither times nor people: the test is a random draw. It cannot show how the "
                "model ages, and one person may be on both sides. Expect less of the next campaign."
            )
        place = place_in_line(person, strata, last=learner, rng=rng)
        test = place < test_share
        if taught := int((test & learner).sum()):
            warning += f" {say_count(taught)} of the test also taught how missing numbers are filled in."
        calibrate = ~test & (place < test_share + calibration_share * (1 - test_share))
    fit = ~test & ~purged & ~calibrate
    for name, part in (("fit", fit), ("calibration", calibrate), ("test", test)):
        responses = int(rows["responded"].to_numpy()[part].sum())
        if min(responses, int(part.sum()) - responses) < FEWEST:
            raise TooLittle(
                f"the {name} part of the contacts holds {responses} responses in {int(part.sum())} contacts; at "
                f"least {FEWEST} responses and {FEWEST} others are needed."
            )
    new = ~np.isin(person[test], person[fit | calibrate]) & contacts.has_people
    parts = {"fit": fit, "calibrate": calibrate, "test": test, "purged": purged}
    places = {name: np.flatnonzero(part) for name, part in parts.items()}
    return Split(**places, how=how, cut_at=cut_at, new=new, warning=warning)


def _unripe(
    times: pd.Series, responded: np.ndarray, window: pd.Timedelta, *, known: bool
) -> tuple[np.ndarray, str]:
    """Which contacts seem to have responses still to come, and why: a window before the last, too few respond.

    Too few are less than four fifths of the earlier rate, by more than four standard errors of two proportions.
    Where the table says it (`known`), nothing is guessed.
    """
    last = (times > times.max() - window).to_numpy()
    if known or not 0 < last.sum() < len(last):
        return np.zeros(len(last), dtype=bool), ""
    late, early, rate = responded[last].mean(), responded[~last].mean(), responded.mean()
    error = (rate * (1 - rate) * (1 / last.sum() + 1 / (~last).sum())) ** 0.5
    if late >= 0.8 * early or early - late < 4 * error:
        return np.zeros(len(last), dtype=bool), ""
    return last, (
        f"Of {last.sum():,} contacts of the last {window.days} days {late:.1%} responded, before {early:.1%}: "
        "responses seem still to come, and these contacts are left out. A column `cut_off` would tell which."
    )


def _moment(times: pd.Series, share: float, *, what: str) -> pd.Timestamp:
    """Find the moment from which on the share of contacts is nearest to `share`, leaving some before it."""
    counts = times.value_counts().sort_index()
    if len(counts) < 2:
        raise TooLittle(
            f"the contacts to split by {what} are all of one moment, {counts.index[0]}; two are needed."
        )
    from_here_on = counts[::-1].cumsum()[::-1].iloc[1:] / len(times)
    return pd.Timestamp(from_here_on.index[int((from_here_on - share).abs().argmin())])


def _last_with_enough(times: pd.Series, responded: np.ndarray) -> pd.Timestamp:
    """Find the latest moment from which on there are enough responses and others, or the last of all."""
    counts = pd.DataFrame({"yes": responded, "no": ~responded}).groupby(times.to_numpy()).sum()[::-1].cumsum()
    enough = counts.index[counts.min(axis=1) >= FEWEST]
    return pd.Timestamp(enough[0] if len(enough) else counts.index[0])


def place_in_line(
    person: np.ndarray, strata: np.ndarray, *, rng: np.random.Generator, last: np.ndarray | None = None
) -> np.ndarray:
    """Place each row in [0, 1) of a shuffled line: a person's rows together, each stratum over the whole line.

    `person` and `strata` hold a code a row, shape (n,); each stratum is shuffled apart. People who are `last`,
    shape (n,), stand behind all others.
    """
    place = np.empty(len(person))
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        _, first, code, size = np.unique(
            person[inside], return_index=True, return_inverse=True, return_counts=True
        )
        order = rng.permutation(len(size))
        if last is not None:
            order = order[np.argsort(last[inside][first][order], kind="stable")]
        start = np.empty(len(size))
        start[order] = np.concatenate([[0], np.cumsum(size[order])[:-1]])
        place[inside] = start[code] / len(inside)
    return place
