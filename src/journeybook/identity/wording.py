"""Sentences of page 03 that depend on what was found."""

import pandas as pd

from journeybook.identity.clusters import EXACT_RULES, Resolution
from journeybook.identity.comparison import ComparedPairs
from journeybook.identity.model import LinkageModel
from journeybook.identity.people import CarriedRefusals


def describe_exact(exact: Resolution) -> str:
    """Say how many people exact keys make."""
    n_ids = exact.records.customer_id.nunique()
    return (
        f"**What we see.** {len(exact.records):,} records of {n_ids:,} customer ids are {exact.n_people:,} "
        f"people by exact keys ({'; '.join(EXACT_RULES)}). **What it does not show.** Whoever changed, left out "
        "or misspelled one part of a key stays in pieces. **What to do.** Compare the rest field by field."
    )


def describe_fit(pairs: ComparedPairs, model: LinkageModel) -> str:
    """Say what was compared, what the strongest evidence is, and whether EM converged."""
    if not pairs.n_pairs:
        return "No two records share a blocking key: there is **nothing to compare**, and exact keys decide alone."
    strongest = model.weights.loc[model.weights.weight_bits.idxmax()]
    weakest = model.weights.loc[model.weights.weight_bits.idxmin()]
    converged = "EM converged for every rule."
    if not model.converged:
        unfinished = model.passes.rule[~model.passes.converged.astype(bool)]
        converged = f"**EM stopped at its limit** before it converged for: {'; '.join(unfinished)}."
    skipped = ""
    if len(pairs.skipped):
        n_skipped = int(pairs.skipped.n_records.sum())
        skipped = f" Blocking left out {n_skipped:,} uses of values that too many records share."
    return (
        f"**What we see.** {pairs.n_pairs:,} of {pairs.n_possible:,} possible pairs were compared.{skipped} The "
        f"strongest evidence for one person is *{strongest.field}: {strongest.label}* "
        f"({strongest.weight_bits:+.1f} bits, a factor of {2**strongest.weight_bits:,.0f}); the strongest "
        f"against it is *{weakest.field}: {weakest.label}* ({weakest.weight_bits:+.1f} bits). {converged} **What "
        "it does not show.** Fields count as independent given who the records belong to: an e-mail address "
        "that holds the surname is counted twice. **What to do.** Ask at sign-up for the fields with the "
        "longest bars that are seldom filled in."
    )


def describe_people(found: Resolution, exact: Resolution, expected_precision: float) -> str:
    """Say how many people the records are, and how many links the model expects to be right."""
    n_several = len(found.clusters)
    largest = int(found.clusters.n_records.max()) if n_several else 1
    cut = {0: "no chain was cut", 1: "one chain was cut"}.get(found.n_cut, f"{found.n_cut:,} chains were cut")
    return (
        f"**What we see.** {len(found.records):,} records are linked into {found.n_people:,} people, "
        f"{exact.n_people - found.n_people:,} fewer than exact keys made of them. {n_several:,} people have "
        f"several records, at most {largest}; {cut}. The model expects {expected_precision:.1%} of the links "
        f"from probability {found.threshold:g} on to be right. **What it does not show.** That expectation is "
        "the model's own; *Does it hold?* holds it against truth. **What to do.** Where a wrong link costs more "
        "than a missed one, as with a bill, raise the threshold."
    )


def describe_refusals(reach: pd.DataFrame, carried: CarriedRefusals) -> str:
    """Say how far refusals on single records reach."""
    if not reach.n_refusing_ids.sum():
        return "Nobody's refusal is on record, so there is nothing to carry."
    most = reach.loc[reach.n_carried_ids.idxmax()]
    return (
        "**What we see.** A refusal is recorded for a customer id and holds for the person. It reaches furthest "
        f"for `{most.purpose}`: {most.n_refusing_ids:,} ids refuse, so {most.n_refusing_people:,} people of this "
        f"page do, and {most.n_carried_ids:,} further ids of theirs are silenced with them. "
        f"{carried.n_recognised:,} customers who refuse identity resolution itself were recognised by an exact "
        f"key: the {len(carried.set_apart):,} other ids of theirs are taken apart again, each standing alone, "
        f"so that the page ends with **{carried.people.person_id.nunique():,} people**; every refusal of one "
        "holds for all. **What it does not show.** A refusing record that agrees on no "
        "exact key stays unrecognised. **What to do.** Let customers refuse once, for all their accounts."
    )


def describe_keys(keys: pd.DataFrame, judged: str) -> str:
    """Say what the worst key puts together wrongly, and by whose judgement."""
    worst = keys.loc[keys.n_wrong.idxmax()]
    return (
        f"**What we see.** Judged by {judged}, *{worst.key}* alone joins {worst.n_pairs:,} pairs of customer "
        f"ids, of which {worst.n_wrong:,} ({worst.wrong_share:.0%}) are different people, and misses "
        f"{worst.missed_share:.0%} of the pairs that are one; its largest group holds {worst.largest_group:,} "
        "ids. **What it does not show.** A wrong merge spreads: every page after this one would count it. "
        "**What to do.** Ask for agreement on something personal, a given name or a birth date, beside anything "
        "a household shares."
    )
