"""What page 07 found, for whoever decides."""

import numpy as np

from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.truth import KnownAnswers, WindowsTruth
from journeybook.channel_response.windows import ResponseWindows
from journeybook.channel_response.words import title_calibration, title_gain, title_windows
from journeybook.findings import Finding, say_share, size, strength_of, wider

_TRUST, _RANKING = "Are the probabilities probabilities?", "What is the ranking worth, and for whom?"
_WHEN = "When do people respond?"

_TOP = 0.2  # share of the contacts that the ranking is judged by
_LARGE_ERROR = 0.02  # of a probability, on average


def find(found: MethodComparison, windows: ResponseWindows, known: KnownAnswers) -> list[Finding]:
    """Return the page's findings; `known` as `known_answers` returns it."""
    return [_ranking(found), _hours(windows, known.windows), _probabilities(found)]


def _ranking(found: MethodComparison) -> Finding:
    top = found.gain_at(_TOP)
    strength = strength_of(top["found_share_low"], top["found_share_high"], nothing=_TOP)
    chance = ", which may be chance" if strength == "cannot be told" else ""
    return Finding(
        text=f"{title_gain(found)}; a random ranking holds {_TOP:.0%}{chance}.",
        action="Use the ranking to choose contacts; most of a single person's response stays unknown."
        if top["found_share_low"] > _TOP
        else "Do not choose by this ranking.",
        strength=strength,
        worth=2,
        section=_RANKING,
        **size(top["found_share"], top["found_share_low"], top["found_share_high"], "share"),
    )


def _hours(windows: ResponseWindows, hours: WindowsTruth | None) -> Finding:
    """The window furthest beyond chance; that intervals of hours do not hold what they should comes first."""
    peaks = windows.peaks[windows.peaks["lift_low"] > 1] if len(windows.peaks) else windows.peaks
    if peaks.empty:
        return Finding(
            text=f"{title_windows(windows)}.",
            action="Send when it suits, spread over the day, and look again with more contacts.",
            strength="cannot be told",
            worth=3,
            section=_WHEN,
            figure=0 if len(windows.cells) else None,
        )
    best = peaks.loc[peaks["lift_low"].idxmax()]
    said = title_windows(windows)
    ends = (float(best["lift"] - 1) - float(best["lift"] - best["lift_low"]) * wider(len(windows.peaks)), np.inf)
    strength = strength_of(*ends, before=(float(best["lift_low"]) - 1, np.inf))
    if hours is not None:
        true = hours.peaks.loc[best.name]
        strength = "known answer recovered" if true["inside"] and true["among"] else "contradicted"
        held = float(hours.kinds["inside_share"].iloc[0])
        if held < windows.level:
            strength = "contradicted"
            said += f"; but {windows.level:.0%} intervals of hours hold the truth in only {say_share(held)}"
    return Finding(
        text=f"{said}.",
        action="Try that time against another; take no interval of an hour at its word."
        if strength == "contradicted"
        else "Send then, and compare with those not contacted: they may come then anyway.",
        strength=strength,
        worth=2,
        section=_WHEN,
        **size(best["lift"] - 1, best["lift_low"] - 1, best["lift_high"] - 1, "share"),
    )


def _probabilities(found: MethodComparison) -> Finding:
    row, before = found.row(calibrated=True), found.row(calibrated=False)
    off, was = (f"{100 * at:.1f} points" for at in (row["ece"], before["ece"]))
    worse, beyond = found.chosen.is_calibrated and row["ece"] > before["ece"], row["ece_low"] >= 0.0005
    said = f"{title_calibration(found)}."
    if worse:
        said = (
            f"Calibration did not help: on later contacts the probabilities are off by {off}, without it by {was}."
        )
    return Finding(
        text=said,
        action="Calibrate again with each campaign, before money is reckoned from them."
        if worse or beyond
        else "No error beyond chance is seen: look again with the next campaign.",
        strength="contradicted" if worse else "clear" if beyond else "cannot be told",
        worth=2 if worse or (beyond and row["ece"] > _LARGE_ERROR) else 3,
        section=_TRUST,
        **size(row["ece"], row["ece_low"], row["ece_high"], "points"),
    )
