"""Which message to send, if any, and what that would have brought, judged on logged contacts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.decisions.choices import (
    JUDGED,
    NO_CONTACT,
    Choices,
    channels_of,
    choices,
    fatigue_loss,
    price_list,
    value_of_a_response,
)
from journeybook.decisions.off_policy import ESTIMATORS, doubly_robust_scores, off_policy_value
from journeybook.statistics.clusters import clustered_error

PER = 1000
"""Values are of this many contacts."""

MODEL = "expected profit"
NOTHING = "nothing"
EVERYONE = "everyone "
ANSWERED = "last channel answered"
TODAY = "what was sent"

_SHARES = np.linspace(0, 1, 21)
_FAR_OFF = 4.0  # standard errors of a mean weight from 1


@dataclass(frozen=True, eq=False)
class Deciding:
    """Policies and their values on the test contacts.

    Attributes:
        why_not: Why nothing is decided, and the tables are empty; empty where something is.
        value_per_response: Value of one response, in the currency of `value` or as given.
        costs: One row a set of costs: `prices` (its name), the cost of a message by channel, and `fatigue`, what
            any message costs besides by lowering the answers to later ones.
        thresholds: What the model's policy was chosen by, on the calibration contacts: one row a set of costs and
            candidate: `prices`, `threshold` (gain over nothing from which on a message is sent), `sent_share`,
            `gain_per_1000` over threshold 0 (doubly robust), its standard error `error_per_1000`, `chosen`.
        policy: One row a set of costs, policy and estimator: `prices`, `policy`, `estimator`, `sent_share`,
            `responses_per_1000`, `profit_per_1000` and `gain_per_1000` (over sending nothing), each with `_low`
            and `_high` (95 %, clustered by person), `effective_n`, `mean_weight`, `refused` (why values are NaN).
        choices: What each policy does on each test contact: (set of costs, policy) to places in `actions`.
        test: The test contacts as choices; None where they cannot tell what another policy would bring.
        currency: Currency of `value`, costs and profits; None where none is given.
    """

    why_not: str
    value_per_response: float = np.nan
    costs: pd.DataFrame = field(default_factory=pd.DataFrame)
    thresholds: pd.DataFrame = field(default_factory=pd.DataFrame)
    policy: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict)
    test: Choices | None = None
    currency: str | None = None

    def charged(self, prices: str) -> np.ndarray:
        """Return what each choice costs at a set of costs, fatigue included, shape (k,)."""
        listed = self.costs.set_index("prices").loc[prices]
        return np.array(
            [*(listed[name] + listed["fatigue"] for name in self.costs.columns[1:-1]), 0.0], dtype=float
        )


def decide(
    sent: pd.DataFrame,
    *,
    permitted: Mapping[str, np.ndarray] | None,
    costs: Mapping[str, float] | None,
    value_per_response: float | None,
    max_messages_28d: int,
    currency: str | None = None,
) -> Deciding:
    """Choose whom to write to by expected profit, and value that and simpler policies on the test contacts.

    The profit of a message is the value of a response times its probability, less the cost of the message and what
    it takes from later ones by fatigue, in proportion to how often this policy sends; of sending nothing, value
    times the probability of a response without a message. The best permitted message is sent where it gains more
    than a threshold over nothing. The threshold of theory is 0; another is taken where the calibration contacts
    show it better by more than two standard errors.

    Values are per decision, in the situations that the logged policy led to, with one charge for fatigue. The
    policies `nothing`, `everyone <channel>` for each channel and `last channel answered` (where people and times
    are known) hold to consent and frequency cap too. Costs and value of None show a range of prices, and take the
    mean `value` of the training responses.

    Raises:
        ValueError: A cost, the cap or the value is out of range.
    """
    if why_not := _why_not(sent):
        return Deciding(why_not)
    calibrate, test = (
        choices(sent, part, permitted=permitted, max_messages_28d=max_messages_28d) for part in JUDGED
    )
    value = value_of_a_response(sent, value_per_response=value_per_response)
    if value is None:
        return Deciding("No response has a `value`, and `value_per_response` is not given.", test=test)
    lists = price_list(costs, test.actions[:-1], value_per_response=value)
    worn = value * fatigue_loss(sent)
    thresholds, records, made = [], [], {}
    for name, price in lists.items():
        paid = np.array([*(price[message] for message in test.actions[:-1]), 0.0])
        price["fatigue"] = worn * _share_at_rest(calibrate, paid, worn, value_per_response=value)
        charged = paid + price["fatigue"] * (np.arange(len(paid)) != test.nothing)
        tried = choose_threshold(calibrate, charged, value_per_response=value)
        thresholds.append(tried.assign(prices=name))
        threshold = tried.loc[tried["chosen"], "threshold"].item()
        for policy, chosen in _policies(test, charged, threshold, value_per_response=value).items():
            made[name, policy] = chosen
            found = valued(test, chosen, charged, value_per_response=value)
            records.append(found.assign(prices=name, policy=policy))
    table, tried = (pd.concat(parts, ignore_index=True) for parts in (records, thresholds))
    listed = pd.DataFrame(lists).T.rename_axis("prices").reset_index()
    return Deciding(
        "", value, listed, _first(tried, "prices"), _first(table, "prices", "policy"), made, test, currency
    )


def choose_threshold(calibrate: Choices, costs: np.ndarray, *, value_per_response: float) -> pd.DataFrame:
    """Try thresholds on the calibration contacts and say which is chosen: see `Deciding.thresholds`.

    `costs` has one a choice, shape (k,).
    """
    best, gain = calibrate.best_message(costs, value_per_response=value_per_response)
    allowed = gain[np.isfinite(gain)]
    candidates = (
        np.unique([0.0, *np.quantile(allowed, _SHARES), allowed.max() * 2]) if len(allowed) else np.zeros(1)
    )
    # Twice the largest gain, if there is one above 0, sends nothing at all.
    tried = [np.where(gain > threshold, best, calibrate.nothing) for threshold in candidates]
    scores = [doubly_robust_scores(calibrate, chosen) for chosen in tried]
    profits = [value_per_response * score - costs[chosen] for score, chosen in zip(scores, tried, strict=True)]
    at_zero = int(np.flatnonzero(candidates == 0)[0])
    more = [profit - profits[at_zero] for profit in profits]
    table = pd.DataFrame(
        {
            "threshold": candidates,
            "sent_share": [(chosen != calibrate.nothing).mean() for chosen in tried],
            "gain_per_1000": [PER * of.mean() for of in more],
            "error_per_1000": [PER * clustered_error(of - of.mean(), calibrate.person) for of in more],
        }
    )
    clear = table["gain_per_1000"].where(table["gain_per_1000"] > 2 * table["error_per_1000"])
    at = clear.idxmax() if clear.notna().any() else at_zero
    return table.assign(chosen=table.index == at)


def true_values(deciding: Deciding, true: np.ndarray) -> pd.DataFrame:
    """Return what each policy would truly have brought, by the true probability of each choice, shape (test, k).

    Returns:
        One row a set of costs and policy: `prices`, `policy`, `responses_per_1000_true`,
        `profit_per_1000_true`, `gain_per_1000_true`, and `errors_off`, by how many of its standard errors the
        doubly robust profit lies above the true one; 0 where it is refused, for then it claims nothing.
    """
    nothing = deciding.value_per_response * true[:, -1].mean()
    records = []
    for (prices, policy), chosen in deciding.choices.items():
        responses = true[np.arange(len(true)), chosen].mean()
        profit = deciding.value_per_response * responses - deciding.charged(prices)[chosen].mean()
        records.append((prices, policy, PER * responses, PER * profit, PER * (profit - nothing)))
    names = [f"{name}_per_1000_true" for name in ("responses", "profit", "gain")]
    table = pd.DataFrame(records, columns=["prices", "policy", *names])
    said = deciding.policy[deciding.policy["estimator"] == "dr"].reset_index(drop=True)
    error = (said["profit_per_1000_high"] - said["profit_per_1000_low"]) / 2 / norm.ppf(0.975)
    return table.assign(errors_off=((said["profit_per_1000"] - table["profit_per_1000_true"]) / error).fillna(0.0))


def advantage(
    deciding: Deciding, policy: str, other: str, *, true: np.ndarray | None
) -> tuple[float, float, float | None]:
    """Return what a policy earns beyond another per 1,000 contacts, at the first set of costs.

    Both are doubly robust estimates of the same contacts, charged alike for a message; of `TODAY` what the
    contacts brought is counted. `true` has the true probability of each choice, shape (test, k), or is None.

    Returns:
        The estimate, its standard error, clustered by person, and what was planted, None where that is not known.
    """
    test, prices = deciding.test, deciding.costs["prices"].iloc[0]
    assert test is not None
    scores, planted, charged = [], [], deciding.charged(prices)
    for name in (policy, other):
        chosen = test.taken if name == TODAY else deciding.choices[prices, name]
        answers = test.responded if name == TODAY else doubly_robust_scores(test, chosen)
        scores.append(deciding.value_per_response * answers - charged[chosen])
        if true is not None:
            likely = true[np.arange(len(true)), chosen]
            planted.append(float((deciding.value_per_response * likely - charged[chosen]).mean()))
    more = scores[0] - scores[1]
    error = clustered_error(more - more.mean(), test.person)
    return PER * float(more.mean()), PER * error, PER * (planted[0] - planted[1]) if planted else None


def _why_not(sent: pd.DataFrame) -> str:
    """Say in one sentence why the contacts cannot tell what another policy would bring, or nothing."""
    channels = channels_of(sent)
    if NO_CONTACT not in channels:
        return "No contact has the channel `none`, so that nothing tells who responds without a message."
    if len(channels) == 1:
        return "Every contact has the channel `none`: there is no message to decide on."
    if f"probability_{NO_CONTACT}" not in sent:
        return "The model does not read the channel, so that it cannot tell one choice from another."
    if "propensity" not in sent:
        return "The contacts do not tell the probability with which each was chosen (`propensity`)."
    judged = sent[sent["part"].isin(JUDGED)]
    if judged["part"].nunique() < 2:
        return "No contact is left whose choice chance had a say in: every `propensity` is 0 or 1."
    used = judged["propensity"].to_numpy(dtype=float, na_value=np.nan)
    if wrong := int((~((used > 0) & (used <= 1))).sum()):
        return f"The `propensity` of {wrong:,} of {len(used):,} contacts is missing or not from 0 to 1."
    unsent = (judged["channel"] == NO_CONTACT).to_numpy()
    weights = [unsent / used, unsent / np.where(used < 1, 1 - used, 1.0)]
    as_it_is, turned = (abs(w.mean() - 1) / max(w.std() / len(w) ** 0.5, 1e-9) for w in weights)
    if len(channels) == 2 and as_it_is > _FAR_OFF > turned:
        return (
            "In rows without a message `propensity` seems to be the chance of a message: it must be that of the "
            f"choice made, so that of `{NO_CONTACT}` there, the rest to 1."
        )
    return ""


def _share_at_rest(calibrate: Choices, costs: np.ndarray, worn: float, *, value_per_response: float) -> float:
    """Return the share of decisions at which a policy sends whose fatigue comes of just that share.

    At share s a message costs `worn` x s more, and it pays where its gain is above that: s is the largest share at
    which the least of that share of gains still does.
    """
    gain = np.sort(calibrate.best_message(costs, value_per_response=value_per_response)[1])[::-1]
    return float((gain > worn * np.arange(1, len(gain) + 1) / len(gain)).mean())


def _policies(
    test: Choices, costs: np.ndarray, threshold: float, *, value_per_response: float
) -> dict[str, np.ndarray]:
    """What each policy does, by name; every message is an allowed one."""
    nothing = np.full(len(test.taken), test.nothing)
    best, gain = test.best_message(costs, value_per_response=value_per_response)
    policies = {MODEL: np.where(gain > threshold, best, nothing)}
    for place, message in enumerate(test.actions[:-1]):
        policies[f"{EVERYONE}{message}"] = np.where(test.allowed[:, place], place, nothing)
    if (test.answered != nothing).any():
        may = test.allowed[np.arange(len(nothing)), test.answered]
        policies[ANSWERED] = np.where(may, test.answered, nothing)
    return {**policies, NOTHING: nothing}


def valued(test: Choices, chosen: np.ndarray, costs: np.ndarray, *, value_per_response: float) -> pd.DataFrame:
    """One row an estimator: the value of one policy."""
    found, unasked = (off_policy_value(test, to) for to in (chosen, np.full(len(chosen), test.nothing)))
    paid, refused = costs[chosen], found.refusal or unasked.refusal
    about = {"effective_n": found.effective_n, "mean_weight": found.mean_weight, "refused": refused}
    records = []
    for i, name in enumerate(ESTIMATORS):
        # Each figure beside what each contact adds to its error.
        rate = np.append(found.rate[i], found.influence[i])
        profit = value_per_response * rate - np.append(paid.mean(), paid - paid.mean())
        gain = profit - value_per_response * np.append(unasked.rate[i], unasked.influence[i])
        record: dict[str, object] = {"estimator": name, "sent_share": (chosen != test.nothing).mean()}
        for figure, of in (("responses", rate), ("profit", profit), ("gain", gain)):
            half = norm.ppf(0.975) * clustered_error(of[1:], test.person)
            for end, at in (("", of[0]), ("_low", of[0] - half), ("_high", of[0] + half)):
                record[f"{figure}_per_1000{end}"] = np.nan if refused else PER * at
        records.append({**record, **about})
    return pd.DataFrame(records)


def _first(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return frame[[*names, *[name for name in frame if name not in names]]]
