"""Methods on one test: with and without resampling."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

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
from journeybook.statistics.imputation import Imputer
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

_KEY = ["method", "resampling"]


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """Every method with every resampling, judged on the test contacts.

    Attributes:
        methods: One row a method, resampling, channel ("all" together; of the chosen model each by itself too, but
            for those with fewer than 10 responses in the test) and calibrated or not: `n_rows`, `n_responses`,
            `roc_auc`, `pr_auc`, `log_loss`, `brier`, `ece`, each with `_low` and `_high` (95 %, clustered on
            people), and `ece_floor`, the ECE that true probabilities would show by chance.
        effects: What resampling changed, after calibration: one row a method, resampling and measure, `difference`
            from the same method without it, paired, with `_low` and `_high`. The method "best" is the better of
            the methods with that resampling less the better without, each picked on the calibration contacts.
        corrections: One row a method and resampling: `ece_as_fitted`, `ece_corrected` (for the shift in prior
            alone), `ece_calibrated`.
        calibration: One row a method, resampling, calibrated and bin: `predicted`, `observed` and its interval.
        gain: One row a method without resampling, or the chosen one, and share contacted, likeliest first:
            `found_share` and `lift` with their intervals.
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

    def of_chosen(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table that are about the chosen model."""
        key = (self.chosen.method, self.chosen.resampling)
        return table[(table["method"] == key[0]) & (table["resampling"] == key[1])]

    def row(self, *, calibrated: bool, method: str | None = None, resampling: str | None = None) -> pd.Series:
        """Return the row of `methods` for all channels together, by default of the chosen model."""
        key = (method or self.chosen.method, resampling or self.chosen.resampling, "all", calibrated)
        return self.methods.set_index([*_KEY, "channel", "calibrated"]).loc[key]

    def gain_at(self, share: float) -> pd.Series:
        """Return the row of `gain` at a share contacted, of the chosen model."""
        mine = self.of_chosen(self.gain)
        return mine[np.isclose(mine["contacted_share"], share)].iloc[0]


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
    models are fitted on `split.fit`, calibrated and chosen on `split.calibrate`; stacks learn from the search.

    Raises:
        ValueError: `n_draws` is below 2.
    """
    if n_draws < 2:
        raise ValueError(f"n_draws must be at least 2, got {n_draws}.")
    table = contacts.rows[[*gate.features, "responded"]]
    fit, calibrate, test = (table.iloc[part] for part in (split.fit, split.calibrate, split.test))
    responded, done = (part["responded"].to_numpy() for part in (test, calibrate))
    weights = cluster_weights(contacts.rows["person"].iloc[split.test], n_draws=n_draws, rng=rng)
    at_once = Parallel(n_jobs=-1, prefer="threads")
    # The dearest first, so that no core waits at the end.
    kinds = sorted(RESAMPLINGS, key=lambda kind: kind != "smote")
    fitted = at_once(
        delayed(_fit_all)(fit, table.iloc[search.places], calibrate, test, search, kind, contacts.imputer, rng=own)
        for kind, own in zip(kinds, rng.spawn(len(kinds)), strict=True)
    )
    by_key = {(each.model.method, each.model.resampling): each for several in fitted for each in several}
    lost = {key: row_losses(each.model.calibrate(each.calibrate), done) for key, each in by_key.items()}
    best = {r: min((lost[m, r].mean(), m) for m in METHODS)[1] for r in RESAMPLINGS}
    picked = by_key[_chosen(lost, best, contacts.rows["person"].to_numpy()[split.calibrate])]
    models = [by_key[m, r] for m in METHODS for r in RESAMPLINGS]
    rate = float(fit["responded"].mean())
    judged = at_once(delayed(_judge)(each, responded, weights, rate=rate) for each in models)
    pooled = {(m.model.method, m.model.resampling): f.pooled for m, f in zip(models, judged, strict=True)}
    channels = {} if len(contacts.channels) < 2 else _groups(contacts.rows["channel"].to_numpy()[split.test])
    records = [f.methods for f in judged]
    records += [
        _qualities(picked, responded, weights, name, inside)[0]
        for name, inside in channels.items()
        if has_both(responded[inside])
    ]
    gains = [
        _keyed(gain(m.test, responded, weights, shares=GAIN_SHARES), m)
        for m in models
        if m is picked or m.model.resampling == "none"
    ]
    probability = picked.model.calibrate(picked.test)
    people = {"all": np.ones(len(responded), dtype=bool)}
    if contacts.has_people:
        people |= {"met in training": ~split.new, "new": split.new}
    return MethodComparison(
        methods=pd.DataFrame([*chain.from_iterable(records)]),
        effects=_effects(pooled, best),
        corrections=pd.DataFrame([found.correction for found in judged]),
        calibration=pd.concat([found.calibration for found in judged], ignore_index=True),
        gain=pd.concat(gains, ignore_index=True),
        people=pd.DataFrame(
            {"people": name, **quality(probability[inside], responded[inside], weights[:, inside]).record()}
            for name, inside in people.items()
            if has_both(responded[inside])
        ),
        models=tuple(each.model for each in models),
        chosen=picked.model,
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
    imputer: Imputer,
    *,
    rng: np.random.Generator,
) -> list[_Fitted]:
    """Fit every method with one resampling, and the stack of them."""
    settings = [(method, search.settings[method, resampling]) for method in BASES]
    pipelines = response_pipelines(fit, settings, resampling=resampling, imputer=imputer, rng=rng)
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

    methods: list[dict]
    correction: dict[str, object]
    calibration: pd.DataFrame
    pooled: Quality


def _judge(fitted: _Fitted, responded: np.ndarray, weights: np.ndarray, *, rate: float) -> _Judged:
    model, raw = fitted.model, fitted.test
    shift = 0.0 if model.method == "stack" else prior_shift(model.resampling, rate=rate)
    said = {"as_fitted": raw, "corrected": corrected(raw, shift=shift), "calibrated": model.calibrate(raw)}
    tables = {stage: reliability(probability, responded) for stage, probability in said.items()}
    records, pooled = _qualities(fitted, responded, weights, "all", np.ones(len(raw), dtype=bool))
    bins = [tables[stage].assign(calibrated=stage == "calibrated") for stage in ("as_fitted", "calibrated")]
    errors = {f"ece_{stage}": expected_error(table) for stage, table in tables.items()}
    key = {"method": model.method, "resampling": model.resampling}
    return _Judged(records, {**key, **errors}, _keyed(pd.concat(bins, ignore_index=True), fitted), pooled)


def _qualities(
    fitted: _Fitted, responded: np.ndarray, weights: np.ndarray, channel: str, inside: np.ndarray
) -> tuple[list[dict], Quality]:
    """Rows of `methods` for some test contacts, as fitted and calibrated, and their quality calibrated."""
    pair = [fitted.test[inside], fitted.model.calibrate(fitted.test)[inside]]
    found = qualities(pair, responded[inside], weights[:, inside])
    key = {"method": fitted.model.method, "resampling": fitted.model.resampling, "channel": channel}
    return [{**key, "calibrated": c, **q.record()} for c, q in zip((False, True), found, strict=True)], found[1]


def _groups(names: np.ndarray) -> dict[str, np.ndarray]:
    return {name: names == name for name in sorted(set(names))}


def has_both(responded: np.ndarray) -> bool:
    """Return whether there are 10 responses and 10 others."""
    return FEWEST <= responded.sum() <= len(responded) - FEWEST


def _effects(pooled: dict[tuple[str, str], Quality], best: dict[str, str]) -> pd.DataFrame:
    parts = []
    for resampling in RESAMPLINGS[1:]:
        pairs = {method: (method, method) for method in METHODS} | {"best": (best[resampling], best["none"])}
        for name, (with_it, without) in pairs.items():
            found = difference(pooled[with_it, resampling], pooled[without, "none"])
            parts.append(found.assign(method=name, resampling=resampling)[[*_KEY, *found]])
    return pd.concat(parts, ignore_index=True)


def _keyed(frame: pd.DataFrame, fitted: _Fitted) -> pd.DataFrame:
    """Put whose they are before the columns of a frame."""
    return frame.assign(method=fitted.model.method, resampling=fitted.model.resampling)[[*_KEY, *frame]]
