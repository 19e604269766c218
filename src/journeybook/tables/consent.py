"""Who permits what: the consent ledger, read once for a purpose and a date."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import ibis

from journeybook.errors import JourneybookError
from journeybook.tables.schema import PURPOSES


def pseudonym(column: ibis.expr.types.StringValue, *, key: str) -> ibis.expr.types.StringValue:
    """Return a keyed pseudonym of each id, 24 hexadecimal digits, stable for one key; null stays null.

    The hash is nested, key outside and inside, as in HMAC (Bellare, Canetti & Krawczyk 1996), so that
    without the key nobody can try ids and compare; whoever holds it can link a pseudonym to its id.
    """
    secret = ibis.literal(key)
    return (secret + (secret + column).hexdigest("sha256")).hexdigest("sha256").substr(0, 24)


def standing(ledger: ibis.Table, *, purpose: str, as_of: datetime | Mapping[str, datetime]) -> ibis.Table:
    """Return what each customer's latest decision on one purpose says as of a date.

    A decision counts if it was made before `as_of`; a grant must also have reached the ledger by then,
    while a refusal holds from the moment it was made. Of two decisions at one moment the refusal counts.

    Args:
        ledger: The canonical table `consents`.
        purpose: One of the purposes.
        as_of: The date asked; `ledger_dates` asks for today, when a refusal holds whatever its date.

    Returns:
        One row a customer who ever decided: `customer_id`, `permits` (a grant that has not ended),
        `refuses` (a refusal; a grant that has ended is neither).
    """
    return standings(ledger.filter(ledger.purpose == purpose), as_of=as_of).drop("purpose")


def standings(ledger: ibis.Table, *, as_of: datetime | Mapping[str, datetime]) -> ibis.Table:
    """Return `standing` for every purpose: one row a customer and purpose, with the column `purpose`."""
    if isinstance(as_of, Mapping):
        moments = [(ledger.purpose == purpose, ibis.timestamp(moment)) for purpose, moment in as_of.items()]
        return said(ledger.mutate(moment=ibis.cases(*moments)), by=("customer_id", "purpose"), today=True)
    return said(ledger.mutate(moment=ibis.timestamp(as_of)), by=("customer_id", "purpose"))


def said(decisions: ibis.Table, *, by: Sequence[str], today: bool = False, keep: Sequence[str] = ()) -> ibis.Table:
    """Return what the ledger says at the moments asked: the one place where this rule stands (see `standing`).

    Args:
        decisions: Rows of the ledger, each with the `moment` it is asked for.
        by: Columns that together name one question.
        today: Whether the moment is today, when a refusal holds whatever its date.
        keep: Further columns of the decision that answers.

    Returns:
        One row a question that a decision answers: `by`, `permits`, `refuses`, and what is kept.
    """
    before = decisions.occurred_at < decisions.moment
    made = decisions.filter(before | ~decisions.granted if today else before)
    if "recorded_at" in made.columns:
        made = made.filter(~made.granted | (made.recorded_at.fill_null(made.occurred_at) < made.moment))
    order = [made.occurred_at.desc(), made.granted.asc()]
    latest = made.mutate(newest=ibis.row_number().over(group_by=list(by), order_by=order))
    latest = latest.filter(latest.newest == 0)
    lasts = (
        latest.expires_at.isnull() | (latest.expires_at > latest.moment)
        if "expires_at" in latest.columns
        else True
    )
    return latest.select(*by, *keep, permits=latest.granted & lasts, refuses=~latest.granted)


def unpermitted_sends(contacts: ibis.Table, ledger: ibis.Table) -> ibis.Table | None:
    """Return, by channel, how many messages went to a customer id whose own ledger did not permit it then.

    Returns:
        One row a channel that has a purpose: `channel`, `n_sent`, `n_not_permitted`; None where the contacts lack
        customer, time or channel.
    """
    if not {"customer_id", "occurred_at", "channel"} <= set(contacts.columns):
        return None
    sent = contacts.select("row", "customer_id", "channel", moment="occurred_at")
    sent = sent.mutate(purpose=ibis.literal("marketing_") + sent.channel)
    sent = sent.filter(sent.purpose.isin(PURPOSES))
    answers = said(sent.inner_join(ledger.drop("row"), ["customer_id", "purpose"]), by=("row",))
    known = sent.left_join(answers.filter(answers.permits), "row")
    return known.group_by("channel").aggregate(n_sent=known.count(), n_not_permitted=known.permits.isnull().sum())


def keep_permitted(table: ibis.Table, *, permits: ibis.Table) -> ibis.Table:
    """Return the rows of customers who permit at least one purpose, and those without a customer, numbered anew.

    The rows of someone who has withdrawn everything end here. Numbering anew hides the gaps they leave, so that
    what is made of the rest is the same as if they had never been collected. A table without customers stays.
    """
    if "customer_id" not in table.columns:
        return table
    kept = table.filter(table.customer_id.isnull() | table.customer_id.isin(permits.customer_id))
    return kept.mutate(row=ibis.row_number().over(order_by=kept.row) + 1)


def check_purpose(purpose: str) -> None:
    """Raise JourneybookError unless `purpose` is one that consent can be given for."""
    if purpose not in PURPOSES:
        raise JourneybookError(f"purpose {purpose!r} is not one of {', '.join(PURPOSES)}.")
