"""What each feature is: its unit, window, kind, source, purpose, and what of the past it holds."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from journeybook.enrichment.snapshots import RECENT_DAYS

# Of which past each source tells; a message's outcome takes days to be known.
_BEFORE = "rows strictly before the date"
AS_OF_RULES = {
    "transactions": _BEFORE,
    "products": f"{_BEFORE}; groups by revenue before the first date",
    "events": _BEFORE,
    "contacts": f"{_BEFORE}; outcomes only of messages whose days of response have passed",
    "third_party": "the latest release up to the date, by the postcode recorded last before it",
}

# Name, unit, kind, source and meaning; a name that ends in days is of a window.
_TOLD = """
recency_days | days | state | transactions | Since the last basket
tenure_days | days | total | transactions | Since the first basket
n_baskets | baskets | total | transactions | Baskets
revenue | currency | total | transactions | Revenue, net of returns
mean_basket | currency | mean | transactions | Revenue a basket
n_baskets_28d | baskets | window | transactions | Baskets
n_baskets_91d | baskets | window | transactions | Baskets
revenue_28d | currency | window | transactions | Revenue, net of returns
revenue_91d | currency | window | transactions | Revenue, net of returns
gap_days_mean | days | mean | transactions | Mean time from basket to basket
gap_days_sd | days | mean | transactions | Spread of the time from basket to basket
weekend_share | share | share | transactions | Baskets of Saturdays and Sundays
morning_share | share | share | transactions | Baskets before 12
evening_share | share | share | transactions | Baskets from 17 on
discount_share | share | share | transactions | Discount, of what would have been paid
n_stores | shops | total | transactions | Different shops
n_products | products | total | transactions | Different products
baskets_per_28d | baskets | rate | transactions | Baskets in 28 days, of the last 91 days that the person was there
pause_share | share | state | transactions | Days since the last basket, of these and the usual gap
lifecycle_stage | stage | state | transactions | New, active, at risk, lapsed or won back
category_entropy_91d | bits | window | products | How varied the departments bought from are
n_visits_28d | visits | window | events | Visits to the site or app
n_visits_91d | visits | window | events | Visits to the site or app
steps_per_visit_91d | steps | window | events | Steps a visit
minutes_per_visit_91d | minutes | window | events | From the first to the last step of a visit
n_devices_91d | devices | window | events | Different devices
visit_purchase_share_91d | share | window | events | Visits with a purchase
abandoned_share_91d | share | window | events | Visits without a purchase, of those with a basket
visits_per_28d | visits | rate | events | Visits in 28 days, of the last 91 days that the person was there
days_since_visit | days | state | events | Since the last visit
n_texts_91d | texts | window | events | Texts written, such as reviews
text_tone_91d | -1 to 1 | window | events | Mean tone of these texts by the lexicon VADER
n_messages_28d | messages | treatment | contacts | Messages sent
n_messages_91d | messages | treatment | contacts | Messages sent
opened_share_91d | share | window | contacts | Messages opened
clicked_share_91d | share | window | contacts | Messages clicked
responded_share_91d | share | window | contacts | Messages answered
fatigue_28d | share | window | contacts | By how much less is opened than in the 63 days before
days_since_message | days | treatment | contacts | Since the last message
third_party_known | yes or no | attribute | third_party | A release names the person or the place
"""
FEATURES = {name: about for name, *about in (line.split(" | ") for line in _TOLD.strip().splitlines())}


def feature_dictionary(
    columns: Sequence[str],
    *,
    groups: Mapping[str, str],
    attributes: Collection[str],
    by_place: bool,
    purposes: Mapping[str, str],
) -> pd.DataFrame:
    """Say of each column of the features what it is, so that no page need guess it from how it moves.

    `groups` are from `largest_groups`, `attributes` columns that third parties gave (`by_place`: of a postcode),
    `purposes` those for which each source was read.

    Returns:
        One row a feature: `row`, `feature`, `unit`, `window_days` (missing where it is no window), `kind` (see
        `data/README.md`), `source`, `purpose`, `description`, `as_of_rule`.
    """
    kind, of = ("area", "the postcode") if by_place else ("attribute", "the person")
    given = ["as released", kind, "third_party", f"Said of {of} by another organisation"]
    told = FEATURES | {
        name: ["share", "share", "products", f"Revenue of {group}"] for name, group in groups.items()
    }
    told |= dict.fromkeys(attributes, given)
    rows = [(name, *told[name]) for name in columns if name not in ("row", "person_id", "as_of")]
    frame = pd.DataFrame(rows, columns=["feature", "unit", "kind", "source", "description"])
    days = (
        frame.feature.str.extract(r"_(\d+)d$")[0].where(frame.kind.isin(["window", "treatment"])).astype("Int64")
    )
    # A rate in 28 days is of the longest window.
    frame["window_days"] = days.mask(frame.kind == "rate", max(RECENT_DAYS))
    frame["purpose"], frame["as_of_rule"] = frame.source.map(purposes), frame.source.map(AS_OF_RULES)
    frame["row"] = range(1, len(frame) + 1)
    order = ["row", "feature", "unit", "window_days", "kind", "source", "purpose", "description", "as_of_rule"]
    return frame[order]
