"""Sentences on what lies behind one chain for all: memory, groups, faults and types of visitor."""

import pandas as pd

from journeybook.clickstream.faults import ALL, FaultScan, PlantedFault
from journeybook.clickstream.groups import GroupDifferences
from journeybook.clickstream.mixture import PlantedTypes, TypeMixture
from journeybook.clickstream.orders import OrderChoice
from journeybook.clickstream.sessions import START


def describe_orders(order: OrderChoice) -> str:
    """Return how far back visitors remember, and whether the ways of choosing agree."""
    table = order.table.set_index("order")
    rejected = [int(k) for k in table.index[1:] if table.at[k, "lr_p_value"] < 0.05]
    text = f"**What we see.** Over {order.n_links:,} links, BIC chooses order {order.chosen}"
    if order.held_out_chosen is None:
        text += "; nobody can be held out. "
    else:
        who = "visitors" if order.people_known else "sessions"
        text += f", and the chain that predicts {who} held out best has order {order.held_out_chosen}. "
    if rejected:
        below = ", ".join(str(k - 1) for k in rejected)
        text += f"The likelihood ratio test refuses order {below} at 5 %, each against the next. "
    else:
        text += "The likelihood ratio test refuses no order at 5 %. "
    if order.disagree:
        low, high = sorted([order.chosen, int(order.held_out_chosen or 0)])
        gain = abs(table.at[high, "held_out_log_likelihood"] - table.at[low, "held_out_log_likelihood"])
        text += (
            f"**They disagree**: on visitors held out the two differ by {gain / order.n_links:.5f} nats a link. "
        )
    return text + (
        "**What it does not show.** Why an order is refused: visitors may remember, or there may be several "
        "kinds of visitor, each without memory, whose page before last tells who they are. With many links the "
        "test refuses "
        "what makes no difference. " + _order_advice(order)
    )


def _order_advice(order: OrderChoice) -> str:
    if order.chosen > 1:
        return f"**What to do.** Mind that what this page draws from the first order leaves out {_memory(order)}."
    if order.chosen == 0:
        return "**What to do.** Do not read the steps: by this choice the page one is on says nothing of the next."
    return "**What to do.** Read the chain of the first order; what it leaves out is small."


def _memory(order: OrderChoice) -> str:
    before = "page" if order.chosen == 2 else f"{order.chosen - 1} pages"
    return f"the {before} before the present one"


def first_order_mark(order: OrderChoice) -> str:
    """Return a warning for conclusions of the first order where a higher one is chosen; otherwise nothing."""
    if order.chosen <= 1:
        return ""
    return (
        f"**First order.** BIC chooses order {order.chosen} for these sessions: what is said here comes from a "
        f"chain that forgets {_memory(order)}."
    )


def describe_memory_within_types(memory: pd.DataFrame) -> str:
    """Return whether the types of visitor account for the memory that all together show."""
    together, apart = memory.iloc[0], memory.iloc[1:]
    listed = ", ".join(_p(p) for p in apart["lr_p_value"])
    text = (
        f"Among these {together['n_people']:,} people together the test of the first order against the second "
        f"gives {_p(together['lr_p_value'])}; within the types {listed}. "
    )
    if together["lr_p_value"] < 0.05 <= apart["lr_p_value"].min():
        return text + "What looked like memory is the mix of types: the page before last told who was walking."
    if together["lr_p_value"] < 0.05:
        return text + "Not all of the memory is the mix of these types."
    return text + "There was no memory to account for."


def describe_groups(found: GroupDifferences) -> str:
    """Return where groups differ, and what a plain chi-square would have said."""
    if found.table.empty:
        reasons = [f"{name}: {why}" for name, why in found.left_out.items()]
        reasons += [f"{name}: too few visitors" for name in found.compared]
        why = "; ".join(reasons)
        return f"**What we see.** No groups can be compared{f' ({why})' if why else ''}."
    table = found.table
    clear = table[table["differs"]].sort_values("cramers_v", ascending=False)
    pages = clear[clear["state"] != START]
    text = (
        f"**What we see.** Of {len(table)} tests ({', '.join(found.compared)}; each page by itself), "
        f"{len(clear)} differ with a chance of any false one of {found.alpha:.0%} (Holm)"
    )
    text += "".join(f", {part['state'].count()} by {name}" for name, part in clear.groupby("grouping", sort=False))
    text += ". "
    if len(pages):
        top = pages.iloc[0]
        text += (
            f"The largest difference beyond the first page is at `{top['state']}` by {top['grouping']}: "
            f"`{top['target']}` follows {top['probability']:.1%} of the visits where it is {top['level']}, and "
            f"{top['probability_elsewhere']:.1%} elsewhere. "
        )
    # Where groups differ much, their difference widens the variance too.
    widest = table.loc[table["design_effect"].where(table["cramers_v"] < 0.1, 0.0).idxmax()]
    plain, clustered = ((table[name] < 0.05).sum() for name in ("p_plain", "p_value"))
    text += (
        f"Before correction a plain chi-square, which takes every step for a new visitor's, calls {plain} "
        f"different at 5 %, this test {clustered}; at `{widest['state']}` by {widest['grouping']}, where groups "
        f"differ little, unlike visitors make the statistic {widest['design_effect']:.1f} times as large as it "
        "expects. "
    )
    return text + (
        "**What it does not show.** Why they differ: who comes by one device or channel is not who comes by "
        "another. With many visits a difference may be clear and too small to matter. **What to do.** Look at "
        "the largest differences, not the smallest p values; solve the chain for a group by itself where they "
        "are large."
    )


def describe_faults(scan: FaultScan) -> str:
    """Return the steps that were broken, and when."""
    if scan.note is not None:
        return f"**What we see.** Nothing can be scanned: {scan.note}."
    faults = scan.table[scan.table["fault"]]
    looked = (
        f"{scan.n_steps} steps, each device apart and all together, were scanned over {scan.n_days} days and "
        f"held against {scan.n_simulations} simulated logs in which nothing is broken"
    )
    if faults.empty:
        top = scan.table.iloc[0]
        return (
            f"**What we see.** No step was broken: {looked}. The deepest drop, `{top['source']}` to "
            f"`{top['target']}`{_where(top)}, is no deeper than such logs show ({_p(top['p_value'])}). **What it "
            "does not show.** Faults shorter than the shortest span, or too slight to be told from chance. "
            "**What to do.** Nothing."
        )
    listed = "; ".join(_fault(row) for _, row in faults.head(3).iterrows())
    more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
    return (
        f"**What we see.** {looked[0].upper()}{looked[1:]}. {len(faults)} "
        f"{'drop is' if len(faults) == 1 else 'drops are'} deeper than any in {1 - scan.alpha:.0%} of them: "
        f"{listed}{more}. **What it does not show.** Why, nor the very day: the ends are the likeliest ones. "
        "**What to do.** Look what was released or switched off about the first day; leave these days out of a "
        "chain that is to say what a sound shop does."
    )


def _fault(row: pd.Series) -> str:
    last = row["ends_at"] - pd.Timedelta(days=1)
    return (
        f"`{row['source']}` to `{row['target']}`{_where(row)} from {row['starts_at']:%Y-%m-%d} to "
        f"{last:%Y-%m-%d}, when it was {row['probability']:.1%} of {row['n']:,} visits, and "
        f"{row['probability_outside']:.1%} otherwise, {row['lost']:,.0f} steps fewer ({_p(row['p_value'])})"
    )


def _where(row: pd.Series) -> str:
    return "" if row["device"] == ALL else f" ({row['device']})"


def describe_types(types: TypeMixture) -> str:
    """Return how many types of visitor there are and what sets them apart."""
    if types.note is not None:
        return f"**What we see.** Nobody can be grouped: {types.note}."
    choice = types.choice[types.choice["chosen"]].iloc[0]
    who = f"{types.n_units:,} known people" if types.unit == "people" else f"{types.n_units:,} sessions"
    if types.n_left_out:
        who += f" drawn from {types.n_units + types.n_left_out:,}"
    if len(types.profile) == 1:
        small = " One session says little of who walks." if types.unit == "sessions" else ""
        return (
            f"**What we see.** BIC finds one type only among {who}: a second chain is not worth its "
            f"numbers.{small} **What it does not show.** That all are alike. **What to do.** Read the one chain."
        )
    some = bool(types.profile["conversion_probability"].max() > 0)
    kinds = "; ".join(
        f"type {row['type']}, {row['share']:.0%}, "
        + f"converts in {row['conversion_probability']:.1%} of its sessions and " * some
        + f"goes from `{row['source']}` to `{row['target']}` with {row['probability']:.0%} (all "
        f"{row['probability_overall']:.0%})"
        for _, row in types.profile.iterrows()
    )
    honest = "" if choice["converged"] else " **EM stopped before it came to rest: the types are not final.**"
    if choice["n_same"] == 1 < choice["n_starts"]:
        honest += " **No two starts agree: there may be a better answer that none found.**"
    return (
        f"**What we see.** BIC finds {len(types.profile)} types among {who}: {kinds}. Each is given its type "
        f"with {types.certainty:.0%} certainty on average; {choice['n_same']} of {choice['n_starts']} starts "
        f"found this answer.{honest} **What it does not show.** Who they are, nor that a type would stay one if "
        "the shop changed. **What to do.** Solve the chain for a type by itself before a change is made for all."
    )


def describe_planted_fault(planted: PlantedFault) -> str:
    """Return how the planted fault was found."""
    last = planted.ends_at - pd.Timedelta(days=1)
    was = f"{planted.step}, was at fault from {planted.starts_at:%Y-%m-%d} to {last:%Y-%m-%d}"
    if not planted.found:
        return f"**Against the truth.** The planted step, {was}; the scan did not find it."
    return (
        f"**Against the truth.** The planted step, {was}; the days found share {planted.overlap:.0%} of the days "
        f"in either. Faults found that were not planted: {planted.n_false}."
    )


def describe_planted_types(planted: PlantedTypes | None) -> str:
    """Return how the planted types were found again; they are of people, so None where sessions were grouped."""
    if planted is None:
        return "**Against the truth.** Types were planted in people; too few are known, so sessions were grouped."
    return (
        f"**Against the truth.** {planted.n_planted} types were planted. The groups agree with them by an "
        f"adjusted Rand index of {planted.agreement:.2f}, and {planted.accuracy:.0%} of {planted.n_people:,} "
        "people are with their own type. If the planted chains themselves were known, the index would be "
        f"{planted.ceiling:.2f}: some people do too little to be told apart."
    )


def structure_headline(
    order: OrderChoice, differences: GroupDifferences, scan: FaultScan, types: TypeMixture
) -> dict[str, int]:
    """Return the figures the report shows; those that do not exist are left out."""
    figures = {"chain_order": order.chosen, "n_group_differences": int(differences.table["differs"].sum())}
    if order.held_out_chosen is not None:
        figures["chain_order_held_out"] = order.held_out_chosen
    if scan.note is None:
        figures["n_faults"] = int(scan.table["fault"].sum())
    if types.note is None:
        figures["n_types"] = len(types.profile)
    return figures


def _p(value: float) -> str:
    if pd.isna(value):
        return "no p value"
    return "p below 0.0001" if value < 1e-4 else f"p = {value:.2g}"
