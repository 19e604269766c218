"""The model of page 07 looked after: what its newest contacts say of it, what to do, and how often to train."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.errors import TooLittle
from journeybook.findings import Finding, say_count, size, strength_of, wider
from journeybook.monitoring.acting import PER, Acting, Scored, act, scored_contacts
from journeybook.monitoring.learning import Walk, walk_forward

SECTION = "Keep, recalibrate or retrain?"
_DOING = {"keep": "Keep the model", "recalibrate": "Calibrate the model anew", "retrain": "Train the model anew"}


@dataclass(frozen=True, eq=False)
class Upkeep:
    """What to do about the model; where nothing can be said, `why_not` says why and all else is None."""

    why_not: str
    scored: Scored | None = None
    acting: Acting | None = None
    walk: Walk | None = None

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Its tables by name, as the page keeps them; empty ones where nothing can be said."""
        if self.acting is None or self.walk is None:
            return {name: pd.DataFrame() for name in ("learning_weeks", "learning", "upkeep", "card")}
        learned = {"learning_weeks": self.walk.weeks, "learning": self.walk.strategies}
        return learned | {"upkeep": self.acting.actions, "card": self.acting.measures}


def keep_or_retrain(
    asked: ibis.Table | None,
    said: ibis.Table | None,
    features: ibis.Table | None,
    *,
    newest_days: int,
    first_share: float,
    every_weeks: int,
    money: Mapping[str, Any],
    currency: str | None,
    rng: np.random.Generator,
) -> Upkeep:
    """Judge page 07's model on its newest contacts (`act`), and learning as weeks go by (`walk_forward`).

    `money` has `value_per_response`, `costs` and `retraining_cost` as `act` takes them. The contacts ahead are
    those of `every_weeks`, at the pace of the newest.
    """
    if asked is None or said is None:
        return Upkeep("There are no contacts with probabilities of page 07, so that no model is judged.")
    try:
        scored = scored_contacts(asked, said, features, newest_days=newest_days)
        ahead = max(1, round(scored.newest.sum() * every_weeks * 7 / newest_days))
        acting = act(scored, **money, contacts_ahead=ahead, currency=currency, rng=rng)
        walk = walk_forward(scored, first_share=first_share, every_weeks=every_weeks, rng=rng)
    except TooLittle as error:
        return Upkeep(str(error))
    return Upkeep("", scored, acting, walk)


def say_upkeep(found: Upkeep, *, every_weeks: int) -> str:
    """What to do about the model and why, and what training more often would have brought."""
    if found.acting is None or found.walk is None or found.scored is None:
        return found.why_not
    moved = found.acting.measures
    clear = moved[(moved["change_low"] > 0) | (moved["change_high"] < 0)]["measure"].tolist()
    changed = f"{' and '.join(clear)} moved" if clear else "no measure moved beyond its interval"
    told, due = found.walk.strategies.set_index("strategy")["n_fits"][["when told", "on schedule"]]
    unit = "by log loss, for no money is given" if found.acting.unit == "nats" else f"in {found.acting.unit}"
    return (
        f"On the {say_count(found.scored.newest.sum())} newest contacts {changed} from the card. "
        f"**{_DOING[found.acting.chosen]}** ({unit}). Through the weeks, {_learning(found.walk)}. Trainings after "
        f"the first: {told} when told, {due} on a schedule of {every_weeks} weeks."
    )


def title_upkeep(found: Upkeep) -> str:
    """Return what the figure found."""
    assert found.acting is not None and found.walk is not None
    return f"{_DOING[found.acting.chosen].lower()}; {_learning(found.walk)}"


def _learning(walk: Walk) -> str:
    """Which ways to learn beat a frozen model, though several were tried (Bonferroni)."""
    ways = walk.strategies.iloc[1:]
    clear = ways["gain"] - wider(len(ways)) * (ways["gain"] - ways["gain_low"]) > 0
    better = ways[clear]["strategy"].tolist()
    return (
        f"training {' and '.join(better)} beats a frozen model"
        if better
        else "no way to learn clearly beats a frozen model"
    )


def find_upkeep(found: Upkeep) -> list[Finding]:
    """What to do about the model, and whether training more often pays; nothing where no model is judged."""
    if found.acting is None or found.walk is None:
        return []
    table = found.acting.actions.set_index("action")
    other = found.acting.chosen if found.acting.chosen != "keep" else "retrain"
    gain, low, high = table.loc[other, ["gain", "gain_low", "gain_high"]]
    money = found.acting.unit != "nats"
    made = "trained" if other == "retrain" else "calibrated"
    if money:
        text = (
            f"{made} anew on the newest contacts, the response model would bring {gain:+,.2f} {found.acting.unit}"
        )
        text += " per 1,000 contacts beside the present one."
    else:
        way = "better" if gain > 0 else "worse"
        text = f"{made} anew on the newest contacts, the response model would predict {way} than the present one:"
        text += f" log loss {abs(gain) / PER:.4f} {'lower' if gain > 0 else 'higher'}."
    if found.acting.chosen == "keep":
        action = "Keep the model of page 07, and look again with the next contacts."
    else:
        action = f"{_DOING[other]} before it scores the next contacts."
    return [
        Finding(
            text=text[0].upper() + text[1:],
            action=action,
            strength=strength_of(low, high),
            worth=2,
            section=SECTION,
            **size(gain, low, high, found.acting.unit if money else "thousandths of log loss"),
        )
    ]
