"""A model a channel, or one for all: compared on the same test."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils.parallel import Parallel, delayed

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.models import (
    BASES,
    ResponseModel,
    calibrated_model,
    fit_together,
    response_pipelines,
    said_together,
)
from journeybook.channel_response.search import Search
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison, has_both
from journeybook.statistics.quality import difference, quality


@dataclass(frozen=True, eq=False)
class ChannelModels:
    """One joint model beside a model a channel, for each method, without resampling, calibrated.

    Attributes:
        differences: One row a method, channel ("all" pools those compared) and measure: `n_rows`, `joint` and
            `separate` (the measure), `difference` (separate less joint) with `_low` and `_high` (95 %, paired,
            clustered on people).
        left_out: Channels with too few contacts for a model of their own.
    """

    differences: pd.DataFrame
    left_out: tuple[str, ...]


def channel_models(
    contacts: ContactFrame, split: Split, comparison: MethodComparison, search: Search, *, rng: np.random.Generator
) -> ChannelModels:
    """Fit each method on each channel alone, with the settings of the joint model, and hold it against that.

    A joint model with the channel as a feature learns from every contact what channels share; a model a channel
    can learn that people answer one channel for other reasons than another.

    Args:
        contacts: As made by `contact_frame`.
        split: The same parts as for the joint models, cut by channel; each part needs 10 responses and 10 others.
        comparison: As made by `compare_methods`.
        search: As made by `search_settings`.
        rng: Seeds the models.
    """
    features = [name for name in comparison.chosen.features if name != "channel"]
    rows, channel = contacts.rows[[*features, "responded"]], contacts.rows["channel"].to_numpy()
    parts = {
        name: [rows.iloc[part[channel[part] == name]] for part in (split.fit, split.calibrate, split.test)]
        for name in contacts.channels
    }
    own = {
        name: cut
        for name, cut in parts.items()
        if features and len(parts) > 1 and all(has_both(part["responded"].to_numpy()) for part in cut)
    }
    fitted = Parallel(n_jobs=-1, prefer="threads")(
        delayed(_fit)(fit, calibrate, search, rng=each)
        for (fit, calibrate, _), each in zip(own.values(), rng.spawn(len(own)), strict=True)
    )
    records = []
    for place, method in enumerate(BASES):
        joint = comparison.model(method, "none").probability(contacts.rows.iloc[split.test], calibrated=True)
        separate = np.full(len(joint), np.nan)
        for name, models in zip(own, fitted, strict=True):
            separate[channel[split.test] == name] = models[place].probability(own[name][2], calibrated=True)
        for name in ("all", *own) if own else ():
            inside = ~np.isnan(separate) & ((channel[split.test] == name) | (name == "all"))
            first, second = (
                quality(said[inside], comparison.responded[inside], comparison.weights[:, inside])
                for said in (separate, joint)
            )
            found = difference(first, second).assign(separate=first.estimate[:4], joint=second.estimate[:4])
            records.append(found.assign(method=method, channel=name, n_rows=int(inside.sum())))
    columns = ["method", "channel", "measure", "n_rows", "joint", "separate"]
    columns += ["difference", "difference_low", "difference_high"]
    table = pd.concat(records, ignore_index=True)[columns] if records else pd.DataFrame(columns=columns)
    return ChannelModels(differences=table, left_out=tuple(name for name in parts if own and name not in own))


def _fit(
    fit: pd.DataFrame, calibrate: pd.DataFrame, search: Search, *, rng: np.random.Generator
) -> list[ResponseModel]:
    settings = [(method, search.settings[method, "none"]) for method in BASES]
    pipelines = response_pipelines(fit, settings, resampling="none", rng=rng)
    fit_together(pipelines, fit)
    return [
        calibrated_model(pipeline, calibrate, method=method, resampling="none", shift=0.0, raw=raw)
        for method, pipeline, raw in zip(BASES, pipelines, said_together(pipelines, calibrate), strict=True)
    ]
