"""What page 03 says in words, and its headline figures."""

import pandas as pd

from journeybook.identity.choice import ThresholdChoice
from journeybook.identity.clusters import EXACT_RULES, Resolution, expected_precision
from journeybook.identity.comparison import ComparedPairs
from journeybook.identity.model import LinkageModel
from journeybook.identity.people import CarriedRefusals
from journeybook.identity.quality import PairQuality
from journeybook.identity.trial import LinkageTrial


def say_exact(exact: Resolution) -> str:
    """Say how many people exact keys make."""
    n_ids = exact.records.customer_id.nunique()
    return (
        f"{len(exact.records):,} records of {n_ids:,} customer ids are {exact.n_people:,} people by exact keys "
        f"({'; '.join(EXACT_RULES)})."
    )


def say_fit(pairs: ComparedPairs, model: LinkageModel) -> str:
    """Say what was compared, and whether EM converged."""
    if not pairs.n_pairs:
        return "No two records share a blocking key: there is **nothing to compare**, and exact keys decide alone."
    told = f"{pairs.n_pairs:,} of {pairs.n_possible:,} possible pairs were compared."
    if pairs.n_skipped:
        told += f" Blocking left out {pairs.n_skipped:,} uses of values that too many records share."
    if model.converged:
        return told
    unfinished = model.passes.rule[~model.passes.converged.astype(bool)]
    return f"{told} **EM stopped at its limit** before it converged for: {'; '.join(unfinished)}."


def say_choice(choice: ThresholdChoice, doubtful: pd.DataFrame) -> str:
    """Say from which probability pairs are linked, why, and how many are left to a person's eye."""
    why = {
        "given": "as its parameter says",
        "costs": "the share of a wrong link in the costs of a wrong and a missed one",
        "labelled pairs": "the one at which the labelled pairs cost least",
    }[choice.why]
    told = f"Pairs are linked from a probability of **{choice.threshold:.3g}** on, {why}."
    return f"{told} Pairs left to label, because they are doubtful: {len(doubtful):,}."


def say_people(found: Resolution, exact: Resolution, linked: pd.DataFrame) -> str:
    """Say how many people the records are, and how many links the model expects to be right."""
    cut = {0: "no chain was cut", 1: "one chain was cut"}.get(found.n_cut, f"{found.n_cut:,} chains were cut")
    return (
        f"The records are {found.n_people:,} people, {exact.n_people - found.n_people:,} fewer than by exact "
        f"keys; {cut}. The model expects {expected_precision(linked):.1%} of the links to be right."
    )


def metrics(
    found: Resolution,
    exact: Resolution,
    pairs: ComparedPairs,
    linked: pd.DataFrame,
    *,
    carried: CarriedRefusals,
    trial: LinkageTrial,
    keys: pd.DataFrame,
    quality: PairQuality | None,
) -> dict[str, float]:
    """Return the page's headline figures."""
    headline = {
        "n_records": len(exact.records),
        "n_customer_ids": exact.records.customer_id.nunique(),
        "n_people": carried.people.person_id.nunique(),
        "n_people_exact_keys": exact.n_people,
        "n_pairs_compared": pairs.n_pairs,
        "expected_precision": expected_precision(linked),
        "n_chains_cut": found.n_cut,
        "copies_f1": trial.quality.f1,
        "n_refusing_ids_recognised": carried.n_recognised,
        "n_ids_set_apart": len(carried.set_apart),
    }
    if quality is not None:
        headline |= {"precision": quality.precision, "recall": quality.recall, "f1": quality.f1}
        headline["n_wrong_links"] = quality.n_found - quality.n_right
        headline["expected_wrong_links"] = float((1 - linked.probability).sum())
    return headline | {f"{k.key.replace(' + ', '_')}_alone_wrong_share": k.wrong_share for k in keys.itertuples()}
