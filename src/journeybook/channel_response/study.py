"""The comparison of methods: the same contacts, the same test, with and without resampling."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils.parallel import Parallel, delayed

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import (
    BASES,
    METHODS,
    RESAMPLINGS,
    ResponseModel,
    calibrated_model,
    corrected,
    fit_together,
    prior_shift,
    response_pipelines,
    row_losses,
    said_together,
    stacked,
)
from journeybook.channel_response.search import Search
from journeybook.channel_response.splits import FEWEST, Split
from journeybook.statistics import cluster_weights
from journeybook.statistics.clusters import clustered_error
from journeybook.statistics.quality import (
    Quality,
    difference,
    expected_error,
    gain,
    qualities,
    quality,
    reliability,
)

GAIN_SHARES = tuple(i / 20 for i in range(21))


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """Every method with every resampling, judged on the test contacts.

    Attributes:
        methods: One row a method, resampling, channel ("all" is all of them together; of the chosen model
            also each by itself) and calibrated or not:
            `n_rows`, `n_responses`, `roc_auc`, `pr_auc`, `log_loss`, `brier`, `ece`, each with `_low` and `_high`
            (95 %, clustered on people), and `ece_floor`, the ECE that true probabilities would show by chance.
            A channel with fewer than 10 responses in the test is left out.
        effects: What resampling changed, after calibration: one row a method, resampling and measure, `difference`
            from the same method without it, paired, with `_low` and `_high`. The method "best" is the better of
            the methods with that resampling less the better without, each picked on the calibration contacts.
        corrections: What put the probabilities right: one row a method and resampling, `ece_as_fitted`,
            `ece_corrected` (for the shift in prior alone), `ece_calibrated`.
        calibration: One row a method, resampling, calibrated and bin: `predicted`, `observed` and its interval.
        gain: One row a method without resampling, or the chosen one, and share contacted, likeliest first:
            `found_share` and `lift` with their intervals; calibration does not change them.
        people: The chosen model on all test contacts, on those of people met in training and of new people.
        models: Every fitted model, a method and resampling each; they serve all channels.
        chosen: The model with the least log loss on the calibration contacts, once calibrated; without resampling,
            unless one with it is better there beyond chance.
        probability: Its calibrated probabilities of the test contacts, shape (test,).
        responded: What the test contacts did, shape (test,).
        weights: Bootstrap weights of the test contacts, whole people drawn, shape (n_draws, test).
    """

    methods: pd.DataFrame
    effects: pd.DataFrame
    corrections: pd.DataFrame
    calibration: pd.DataFrame
    gain: pd.DataFrame
    people: pd.DataFrame
    models: tuple[ResponseModel, ...]
    chosen: ResponseModel
    probability: np.ndarray
    responded: np.ndarray
    weights: np.ndarray

    def model(self, method: str, resampling: str) -> ResponseModel:
        """Return one fitted model.

        Raises:
            ValueError: No such model was fitted; the message lists those there are.
        """
        for model in self.models:
            if (model.method, model.resampling) == (method, resampling):
                return model
        there = ", ".join(f"{model.method} with {model.resampling}" for model in self.models)
        raise ValueError(f"no model {method!r} with resampling {resampling!r} was fitted; there are {there}.")

    def row(self, *, calibrated: bool, method: str | None = None, resampling: str | None = None) -> pd.Series:
        """Return the row of `methods` for all channels together, by default of the chosen model."""
        table = self.methods
        return table[
            (table["channel"] == "all")
            & (table["calibrated"] == calibrated)
            & (table["method"] == (method or self.chosen.method))
            & (table["resampling"] == (resampling or self.chosen.resampling))
        ].iloc[0]

    def gain_at(self, share: float) -> pd.Series:
        """Return the row of `gain` at a share contacted, of the chosen model."""
        mine = self.gain.query("method == @self.chosen.method and resampling == @self.chosen.resampling")
        return mine[np.isclose(mine["contacted_share"], share)].iloc[0]

    def by_channel(self) -> pd.DataFrame:
        """Return the rows of `methods` for each channel, of the chosen model, calibrated."""
        chosen = self.methods.query("method == @self.chosen.method and resampling == @self.chosen.resampling")
        return chosen[chosen["calibrated"] & (chosen["channel"] != "all")].reset_index(drop=True)


def compare_methods(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    search: Search,
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> MethodComparison:
    """Fit every method with every resampling on the same contacts and judge all on the same test.

    One joint model, with the channel as a feature, is fitted for all channels. Nothing is learned from the test:
    models are fitted on `split.fit`, calibrated and chosen on `split.calibrate`.

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        gate: Only the features it let pass are used.
        search: As made by `search_settings`; its settings are used, and its folds teach the stacks.
        n_draws: Bootstrap samples of people, at least 2.
        rng: Seeds models and bootstrap.

    Raises:
        ValueError: `n_draws` is out of range.
    """
    if n_draws < 2:
        raise ValueError(f"n_draws must be at least 2, got {n_draws}.")
    table = contacts.rows[[*gate.features, "responded"]]
    calibrate, test = (table.iloc[part] for part in (split.calibrate, split.test))
    responded = test["responded"].to_numpy()
    weights = cluster_weights(contacts.rows["person"].iloc[split.test], n_draws=n_draws, rng=rng)
    channels = _channels(contacts.rows["channel"].iloc[split.test], responded)
    at_once = Parallel(n_jobs=-1, prefer="threads")
    # The dearest first, so that no core waits at the end.
    kinds = sorted(RESAMPLINGS, key=lambda kind: kind != "smote")
    fitted = at_once(
        delayed(_fit_all)(table.iloc[split.fit], table.iloc[search.places], calibrate, test, search, kind, rng=own)
        for kind, own in zip(kinds, rng.spawn(len(kinds)), strict=True)
    )
    by_key = {(each.model.method, each.model.resampling): each for several in fitted for each in several}
    models = [by_key[m, r] for m in METHODS for r in RESAMPLINGS]
    rate, done = float(table["responded"].iloc[split.fit].mean()), calibrate["responded"].to_numpy()
    lost = {key: row_losses(each.model.calibrate(each.calibrate), done) for key, each in by_key.items()}
    best = {r: min((lost[m, r].mean(), m) for m in METHODS)[1] for r in RESAMPLINGS}
    picked = by_key[_chosen(lost, best, contacts.rows["person"].to_numpy()[split.calibrate])]
    chosen = picked.model
    everyone = {"all": channels["all"]}
    judged = at_once(
        delayed(_judge)(
            each,
            responded,
            weights,
            channels if each is picked else everyone,
            rate=rate,
            ranked=each is picked or each.model.resampling == "none",
        )
        for each in models
    )
    probability = chosen.calibrate(picked.test)
    pooled = {(m.model.method, m.model.resampling): f.pooled for m, f in zip(models, judged, strict=True)}
    return MethodComparison(
        methods=pd.concat([found.methods for found in judged], ignore_index=True),
        effects=_effects(pooled, best),
        corrections=pd.DataFrame([found.correction for found in judged]),
        calibration=pd.concat([found.calibration for found in judged], ignore_index=True),
        gain=pd.concat([found.gain for found in judged if len(found.gain)], ignore_index=True),
        people=_people(probability, responded, weights, new=split.new, known=contacts.has_people),
        models=tuple(each.model for each in models),
        chosen=chosen,
        probability=probability,
        responded=responded,
        weights=weights,
    )


def _chosen(
    lost: Mapping[tuple[str, str], np.ndarray], best: Mapping[str, str], person: np.ndarray
) -> tuple[str, str]:
    """The best model without resampling, unless one with it loses less beyond chance (95 %, clustered)."""
    plain = (best["none"], "none")
    first = min(lost, key=lambda key: lost[key].mean())
    gained = lost[plain] - lost[first]
    return first if gained.mean() > norm.ppf(0.975) * clustered_error(gained - gained.mean(), person) else plain


@dataclass(frozen=True, eq=False)
class _Fitted:
    """One model, and what its pipeline says of the calibration and the test contacts."""

    model: ResponseModel
    calibrate: np.ndarray
    test: np.ndarray


def _fit_all(
    fit: pd.DataFrame,
    searched: pd.DataFrame,
    calibrate: pd.DataFrame,
    test: pd.DataFrame,
    search: Search,
    resampling: str,
    *,
    rng: np.random.Generator,
) -> list[_Fitted]:
    """Fit every method with one resampling, and the stack of them."""
    settings = [(method, search.settings[method, resampling]) for method in BASES]
    pipelines = response_pipelines(fit, settings, resampling=resampling, rng=rng)
    fit_together(pipelines, fit)
    parts = dict(zip(BASES, pipelines, strict=True))
    stack = stacked(parts, searched, said={m: search.said[m, resampling] for m in BASES})
    said = [said_together(pipelines, rows) for rows in (calibrate, test)]
    for of in said:
        of.append(stack.final_estimator_.predict_proba(np.column_stack(of))[:, 1])
    shift = prior_shift(resampling, rate=float(fit["responded"].mean()))
    found = []
    for (method, fitted), raw, raw_test in zip([*parts.items(), ("stack", stack)], *said, strict=True):
        # A stack weighs its parts on contacts that were not resampled, so that nothing is to be taken off.
        about = {"method": method, "resampling": resampling, "shift": 0.0 if method == "stack" else shift}
        found.append(_Fitted(calibrated_model(fitted, calibrate, **about, raw=raw), raw, raw_test))
    return found


@dataclass(frozen=True, eq=False)
class _Judged:
    """One model's part of a `MethodComparison`, and its calibrated quality over all channels."""

    methods: pd.DataFrame
    correction: dict[str, object]
    calibration: pd.DataFrame
    gain: pd.DataFrame
    pooled: Quality


def _judge(
    fitted: _Fitted,
    responded: np.ndarray,
    weights: np.ndarray,
    channels: dict[str, np.ndarray],
    *,
    rate: float,
    ranked: bool,
) -> _Judged:
    model, raw = fitted.model, fitted.test
    key = {"method": model.method, "resampling": model.resampling}
    shift = 0.0 if model.method == "stack" else prior_shift(model.resampling, rate=rate)
    said = {"as_fitted": raw, "corrected": corrected(raw, shift=shift), "calibrated": model.calibrate(raw)}
    tables = {stage: reliability(probability, responded) for stage, probability in said.items()}
    records, pooled = [], {}
    for channel, inside in channels.items():
        pair = [said[stage][inside] for stage in ("as_fitted", "calibrated")]
        found = qualities(pair, responded[inside], weights[:, inside])
        records += [
            {**key, "channel": channel, "calibrated": calibrated, **each.record()}
            for calibrated, each in zip((False, True), found, strict=True)
        ]
        pooled[channel] = found[1]
    bins = [tables[stage].assign(calibrated=stage == "calibrated") for stage in ("as_fitted", "calibrated")]
    return _Judged(
        methods=pd.DataFrame(records),
        correction={**key, **{f"ece_{stage}": expected_error(table) for stage, table in tables.items()}},
        calibration=_keyed(pd.concat(bins, ignore_index=True), key),
        gain=_keyed(gain(raw, responded, weights, shares=GAIN_SHARES), key) if ranked else pd.DataFrame(),
        pooled=pooled["all"],
    )


def _channels(channel: pd.Series, responded: np.ndarray) -> dict[str, np.ndarray]:
    """Which rows to judge together: all of them, and each channel where there are several."""
    names = sorted(channel.unique())
    parts = {name: (channel == name).to_numpy() for name in names} if len(names) > 1 else {}
    judged = {name: inside for name, inside in parts.items() if has_both(responded[inside])}
    return {"all": np.ones(len(channel), dtype=bool), **judged}


def has_both(responded: np.ndarray) -> bool:
    """Return whether there are 10 responses and 10 others."""
    return FEWEST <= responded.sum() <= len(responded) - FEWEST


def _effects(pooled: dict[tuple[str, str], Quality], best: dict[str, str]) -> pd.DataFrame:
    parts = []
    for resampling in RESAMPLINGS[1:]:
        pairs = {method: (method, method) for method in METHODS} | {"best": (best[resampling], best["none"])}
        for name, (with_it, without) in pairs.items():
            found = difference(pooled[with_it, resampling], pooled[without, "none"])
            parts.append(_keyed(found, {"method": name, "resampling": resampling}))
    return pd.concat(parts, ignore_index=True)


def _people(
    probability: np.ndarray, responded: np.ndarray, weights: np.ndarray, *, new: np.ndarray, known: bool
) -> pd.DataFrame:
    groups = {"all": np.ones(len(responded), dtype=bool)}
    if known:
        groups |= {"met in training": ~new, "new": new}
    return pd.DataFrame(
        [
            {"people": name, **quality(probability[inside], responded[inside], weights[:, inside]).record()}
            for name, inside in groups.items()
            if has_both(responded[inside])
        ]
    )


def _keyed(frame: pd.DataFrame, key: Mapping[str, str]) -> pd.DataFrame:
    """Put a key before the columns of a frame."""
    return frame.assign(**key)[[*key, *frame]]
