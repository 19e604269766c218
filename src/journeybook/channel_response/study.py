"""The comparison of methods: the same contacts, the same test, with and without resampling."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import METHODS, RESAMPLINGS, ResponseModel, fit_response_model
from journeybook.channel_response.quality import Quality, difference, gain, quality, reliability
from journeybook.channel_response.splits import FEWEST, Split
from journeybook.statistics import cluster_weights

GAIN_SHARES = tuple(i / 50 for i in range(51))

_JUDGED = {"roc_auc": "ROC AUC", "pr_auc": "PR AUC", "log_loss": "log loss"}
_WORDS = {"class_weights": "class weights", "smote": "SMOTE"}


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """Every method with every resampling, judged on the test contacts.

    Attributes:
        methods: One row a method, resampling, channel ("all" is all of them together) and calibrated or not:
            `n_rows`, `n_responses`, `roc_auc`, `pr_auc`, `log_loss`, `brier`, `ece`, each with `_low` and `_high`
            (95 %, clustered on people), and `ece_floor`, the ECE that true probabilities would show by chance.
            A channel with fewer than 10 responses in the test is left out.
        effects: What resampling changed, after calibration: one row a method, resampling and measure, `difference`
            from the same method without it, paired, with `_low` and `_high`. The method "best" is the better of
            the methods with that resampling less the better without, each picked on the calibration contacts.
        calibration: One row a method, resampling, calibrated and bin: `predicted`, `observed` and its interval.
        gain: One row a method and share contacted, without resampling: `found_share`, `lift`.
        people: The chosen model on all test contacts, on those of people met in training and of new people.
        models: Every fitted model, a method and resampling each; they serve all channels.
        chosen: The model with the least log loss on the calibration contacts, once calibrated.
        probability: Its calibrated probabilities of the test contacts, shape (test,).
        responded: What the test contacts did, shape (test,).
        weights: Bootstrap weights of the test contacts, whole people drawn, shape (n_draws, test).
    """

    methods: pd.DataFrame
    effects: pd.DataFrame
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


def compare_methods(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    n_trees: int,
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
        n_trees: Boosted trees, at least 1.
        n_draws: Bootstrap samples of people, at least 2.
        rng: Seeds models and bootstrap.

    Raises:
        ValueError: No feature passed the gate, or a count is out of range.
    """
    if not gate.features:
        raise ValueError("no feature is left to predict with; the leak gate's table says why each was set aside.")
    if n_trees < 1 or n_draws < 2:
        raise ValueError(f"n_trees must be at least 1 and n_draws at least 2, got {n_trees} and {n_draws}.")
    table = contacts.rows[[*gate.features, "responded"]]
    fit, calibrate, test = (table.iloc[part] for part in (split.fit, split.calibrate, split.test))
    responded = test["responded"].to_numpy()
    weights = cluster_weights(contacts.rows["person"].iloc[split.test], n_draws=n_draws, rng=rng)
    channels = _channels(contacts.rows["channel"].iloc[split.test], responded)
    models = [
        fit_response_model(fit, calibrate, method=m, resampling=r, n_trees=n_trees, rng=rng)
        for m in METHODS
        for r in RESAMPLINGS
    ]
    records, bins, plain = [], [], []
    pooled: dict[tuple[str, str], Quality] = {}
    for model in models:
        key = {"method": model.method, "resampling": model.resampling}
        raw = model.probability(test, calibrated=False)
        for calibrated, probability in ((False, raw), (True, model.calibrate(raw))):
            for channel, inside in channels.items():
                found = quality(probability[inside], responded[inside], weights[:, inside])
                records.append({**key, "channel": channel, "calibrated": calibrated, **found.record()})
                if channel == "all" and calibrated:
                    pooled[model.method, model.resampling] = found
            bins.append(reliability(probability, responded).assign(**key, calibrated=calibrated))
        if model.resampling == "none":
            plain.append(gain(raw, responded, shares=GAIN_SHARES).assign(method=model.method))
    losses = {(model.method, model.resampling): _log_loss(model, calibrate) for model in models}
    best = {r: min((losses[m, r], m) for m in METHODS)[1] for r in RESAMPLINGS}
    chosen = min(models, key=lambda model: losses[model.method, model.resampling])
    probability = chosen.probability(test, calibrated=True)
    return MethodComparison(
        methods=pd.DataFrame(records),
        effects=_effects(pooled, best),
        calibration=_first(pd.concat(bins, ignore_index=True), "method", "resampling", "calibrated"),
        gain=_first(pd.concat(plain, ignore_index=True), "method"),
        people=_people(probability, responded, weights, new=split.new, known=contacts.has_people),
        models=tuple(models),
        chosen=chosen,
        probability=probability,
        responded=responded,
        weights=weights,
    )


def resampling_verdict(comparison: MethodComparison) -> str:
    """Say plainly, in a few sentences, whether resampling helped.

    Judged are the best method with each resampling against the best without, by ROC AUC, PR AUC and log loss after
    calibration, as one family (Bonferroni).
    """
    effects = comparison.effects[
        (comparison.effects["method"] == "best") & comparison.effects["measure"].isin(_JUDGED)
    ]
    # The stored intervals are +- 1.96 standard errors; the family of comparisons asks for more.
    wider = norm.ppf(1 - 0.025 / len(effects)) / norm.ppf(0.975)
    half = (effects["difference_high"] - effects["difference_low"]) / 2 * wider
    gained = effects["difference"].where(effects["measure"] != "log_loss", -effects["difference"])
    better, worse = gained > half, gained < -half
    words = []
    for name in RESAMPLINGS[1:]:
        mine = effects["resampling"] == name
        helped, harmed = effects.loc[mine & better, "measure"], effects.loc[mine & worse, "measure"]
        said = [
            f"{verb} ({', '.join(found.map(_JUDGED))})"
            for verb, found in (("better", helped), ("worse", harmed))
            if len(found)
        ]
        words.append(f"{_WORDS[name]} {' and '.join(said) if said else 'no different'}")
    if better.any():
        verdict = "Resampling helped in places and harmed in others" if worse.any() else "Resampling helped"
    else:
        verdict = "Resampling did not help"
    raw = comparison.methods[(comparison.methods["channel"] == "all") & ~comparison.methods["calibrated"]]
    without, with_it = raw[raw["resampling"] == "none"], raw[raw["resampling"] != "none"]
    return (
        f"**{verdict}.** Against the best model without it, once calibrated: {'; '.join(words)} (95 %, allowing "
        f"for {len(effects)} comparisons). Before calibration the expected calibration error is "
        f"{_span(without['ece'])} without resampling and {_span(with_it['ece'])} with it."
    )


def _span(values: pd.Series) -> str:
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low}-{high}"


def _channels(channel: pd.Series, responded: np.ndarray) -> dict[str, np.ndarray]:
    """Which rows to judge together: all of them, and each channel where there are several."""
    names = sorted(channel.unique())
    parts = {name: (channel == name).to_numpy() for name in names} if len(names) > 1 else {}
    judged = {name: inside for name, inside in parts.items() if _has_both(responded[inside])}
    return {"all": np.ones(len(channel), dtype=bool), **judged}


def _has_both(responded: np.ndarray) -> bool:
    return FEWEST <= responded.sum() <= len(responded) - FEWEST


def _log_loss(model: ResponseModel, rows: pd.DataFrame) -> float:
    probability, responded = model.probability(rows, calibrated=True), rows["responded"].to_numpy()
    return float(-np.mean(np.log(np.where(responded == 1, probability, 1 - probability))))


def _effects(pooled: dict[tuple[str, str], Quality], best: dict[str, str]) -> pd.DataFrame:
    parts = []
    for resampling in RESAMPLINGS[1:]:
        pairs = {method: (method, method) for method in METHODS} | {"best": (best[resampling], best["none"])}
        for name, (with_it, without) in pairs.items():
            found = difference(pooled[with_it, resampling], pooled[without, "none"])
            parts.append(found.assign(method=name, resampling=resampling))
    return _first(pd.concat(parts, ignore_index=True), "method", "resampling")


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
            if _has_both(responded[inside])
        ]
    )


def _first(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return frame[[*names, *[name for name in frame if name not in names]]]
