"""The canonical tables: which columns each may have, of which type, and which are needed."""

from dataclasses import dataclass, field
from typing import Any

TEXT, TIME, MONEY = "string", "timestamp(6)", "decimal(18, 4)"

# Between the entries of `unconverted` of one row: a sign that no text of a file is likely to hold.
UNCONVERTED_SIGN = "\x1f"


@dataclass(frozen=True)
class Column:
    """One column of a canonical table.

    Attributes:
        name: Name in every table, file and notebook.
        dtype: Ibis type it is stored as.
        meaning: What a value says, with its unit.
        required: A table without it cannot be read.
        nullable: A row may lack the value.
        identifier: Names a person directly; no page after 03_identity sees it.
        allowed: The only values a row may hold, if they are few.
        low: Least value a row may hold.
        high: Greatest value a row may hold.
    """

    name: str
    dtype: str
    meaning: str
    required: bool = False
    nullable: bool = True
    identifier: bool = False
    allowed: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Schema:
    """One canonical table.

    Attributes:
        name: Name of the table.
        meaning: What one row is.
        columns: The columns journeybook knows.
        key: Columns that together name a row once; duplicates are reported, never removed.
        either: Groups of columns of which at least one is needed.
        further: What every other column means; empty where other columns are not kept.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    either: tuple[tuple[str, ...], ...] = ()
    further: str = ""
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the columns by name."""
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns a table cannot do without."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Names of the columns that name a person directly."""
        return tuple(column.name for column in self.columns if column.identifier)


def _needed(name: str, dtype: str, meaning: str, **more: Any) -> Column:
    """A column that no row may lack."""
    return Column(name, dtype, meaning, required=True, nullable=False, **more)


def _identifier(name: str, dtype: str, meaning: str, **more: Any) -> Column:
    """A column that names a person directly."""
    return Column(name, dtype, meaning, identifier=True, **more)


def _table(name: str, meaning: str, *columns: Column, **more: Any) -> Schema:
    return Schema(name, meaning, columns, **more)


def _by_name(*schemas: Schema) -> dict[str, Schema]:
    return {schema.name: schema for schema in schemas}


PURPOSES = (
    "identity_resolution",
    "analytics",
    "personalisation",
    "marketing_email",
    "marketing_sms",
    "marketing_push",
    "third_party_enrichment",
)


SCHEMAS = _by_name(
    _table(
        "customer_records",
        "What one source knows of one customer",
        _needed("record_id", TEXT, "Id of the record"),
        _needed("source", TEXT, "System the record comes from"),
        _needed("customer_id", TEXT, "Id of the customer in the other tables; one namespace over all sources"),
        _identifier("given_name", TEXT, "Given name"),
        _identifier("surname", TEXT, "Family name"),
        _identifier("email", TEXT, "E-mail address"),
        _identifier("phone", TEXT, "Telephone number"),
        _identifier("address", TEXT, "Street and number"),
        _identifier(
            "postcode", TEXT, "Postal code; shown for identity resolution and third-party enrichment only"
        ),
        _identifier("birth_date", "date", "Date of birth"),
        Column("updated_at", TIME, "When the record was last changed, naive local time"),
        key=("record_id",),
    ),
    _table(
        "transactions",
        "One line of a receipt",
        Column("customer_id", TEXT, "Id of the customer; empty for a guest", required=True),
        _needed("occurred_at", TIME, "When it was paid, naive local time"),
        _needed(
            "revenue",
            MONEY,
            "Amount received for the line, in the currency of the data set; negative for a return",
        ),
        Column("basket_id", TEXT, "Id of the receipt"),
        Column("product_id", TEXT, "Id of the product"),
        Column("quantity", MONEY, "Units, or volume for fuel"),
        Column("discount", MONEY, "Reduction granted on the line, in currency, 0 or more"),
        Column("store_id", TEXT, "Id of the shop"),
        Column("unit", TEXT, "Unit of the quantity, such as kg; a measured line counts as one unit"),
        Column("currency", TEXT, "Currency of the amounts; lines in another one than most are set aside"),
    ),
    _table(
        "contracts",
        "One contract of a customer, such as a subscription",
        _needed("customer_id", TEXT, "Id of the customer"),
        _needed("started_at", TIME, "When it began, naive local time"),
        Column("churned_at", TIME, "When it ended; empty while it runs, or where that is not known"),
        Column("active", "boolean", "Whether it still runs; without it, it runs unless it has an end"),
    ),
    _table(
        "products",
        "One product",
        _needed("product_id", TEXT, "Id of the product"),
        Column("name", TEXT, "Name of the product"),
        Column("category", TEXT, "Category"),
        Column("brand", TEXT, "Brand"),
        key=("product_id",),
        further="an attribute of the product",
    ),
    _table(
        "events",
        "One step of a visit to the site or app",
        Column("session_id", TEXT, "Id of the visit"),
        Column("customer_id", TEXT, "Id of the customer; empty for an unknown visitor"),
        _needed("event", TEXT, "Name of the step"),
        Column("occurred_at", TIME, "When it happened, naive local time"),
        Column("instant", TIME, "The same in UTC, where the files say it or clocks change"),
        Column("position", "int64", "Order within the visit, from 1", low=0),
        Column("channel", TEXT, "What brought the visitor"),
        Column("device", TEXT, "Device used"),
        _identifier("device_id", TEXT, "Id of the browser or app, such as a cookie"),
        Column("release", TEXT, "Version of the site or app that sent it"),
        Column("properties", TEXT, "What it says beside its name, a JSON object"),
        Column("page_url", TEXT, "Address of the page"),
        Column("referrer", TEXT, "Address that led there"),
        Column("product_id", TEXT, "Id of the product"),
        Column("quantity", MONEY, "Units"),
        Column("text", TEXT, "What the customer wrote, such as a review; page 02 hands on its tone alone"),
        either=(("session_id", "customer_id"), ("occurred_at", "position")),
    ),
    _table(
        "contacts",
        "One decision to contact a customer, or not to",
        _needed("responded", "boolean", "Whether the customer responded"),
        Column("contact_id", TEXT, "Id of the decision"),
        Column("customer_id", TEXT, "Id of the customer"),
        Column("occurred_at", TIME, "When it was sent, naive local time"),
        Column("channel", TEXT, "How; `none` is a decision not to send"),
        Column("propensity", "float64", "Probability with which this channel was chosen", low=0, high=1),
        Column("opened", "boolean", "Opened, known only after sending"),
        Column("clicked", "boolean", "Clicked, known only after sending"),
        Column("value", MONEY, "Revenue of the response, in currency; known only after sending"),
        key=("contact_id",),
        further="a feature known before the contact",
    ),
    _table(
        "consents",
        "One grant or refusal of one purpose",
        _needed("customer_id", TEXT, "Id of the customer"),
        _needed("purpose", TEXT, "What the data may be used for", allowed=PURPOSES),
        _needed("granted", "boolean", "Granted or refused"),
        _needed("occurred_at", TIME, "When the customer decided, naive local time"),
        Column("recorded_at", TIME, "When the decision reached the ledger"),
        Column("expires_at", TIME, "When a grant ends"),
        Column("wording", TEXT, "Name of the text that was agreed to"),
        Column("version", TEXT, "Its version"),
        Column("channel", TEXT, "How it was asked"),
        Column("proof", TEXT, "Where the proof is kept"),
        Column("confirmed_at", TIME, "When a grant was confirmed a second time"),
    ),
    _table(
        "experiment",
        "One unit of an experiment",
        _needed("variant", TEXT, "Arm the unit was assigned to"),
        Column("unit_id", TEXT, "Id of the unit"),
        Column("customer_id", TEXT, "Id of the customer"),
        Column("occurred_at", TIME, "When it was assigned"),
        Column("exposed_at", TIME, "When it first met what is tested"),
        Column("outcome_at", TIME, "When its outcome came; empty where none has come"),
        Column("stratum", TEXT, "Stratum of the assignment"),
        Column("cluster", TEXT, "Group assigned as one"),
        key=("unit_id",),
        further="a metric or a covariate",
    ),
    _table(
        "experiment_values",
        "One value of one metric of one unit of an experiment",
        _needed("unit_id", TEXT, "Id of the unit"),
        _needed("variant", TEXT, "Arm the unit was assigned to"),
        _needed("metric", TEXT, "Name of the metric"),
        Column("value", "float64", "Value of the metric; empty where it is not known", required=True),
        Column("customer_id", TEXT, "Id of the customer"),
        Column("occurred_at", TIME, "When the unit was assigned"),
        Column("stratum", TEXT, "Stratum of the assignment"),
        Column("cluster", TEXT, "Group assigned as one"),
        key=("unit_id", "metric"),
        further="what is known of the unit, the same in all its rows",
    ),
    _table(
        "experiment_arms",
        "What is known of one arm of an experiment, summed up",
        _needed("variant", TEXT, "The arm"),
        _needed("n", "int64", "Units in the arm, such as recipients", low=1),
        Column("stratum", TEXT, "Campaign, or another test of its own, that the row is of"),
        Column("metric", TEXT, "Name of the metric that `successes`, or `mean` and `sd`, are of"),
        Column("successes", "int64", "Units for whom the metric is true", low=0),
        Column("mean", "float64", "Mean of the metric over the units"),
        Column("sd", "float64", "Standard deviation of the metric over the units", low=0),
        further="a count of the units for whom something is true",
    ),
    _table(
        "outcomes",
        "One thing that a unit of an experiment did",
        _needed("unit_id", TEXT, "Id of the unit, as in `experiment`"),
        Column("customer_id", TEXT, "Id of the customer"),
        Column("occurred_at", TIME, "When it happened"),
        further="an amount or a mark to be aggregated",
    ),
    _table(
        "third_party",
        "What another organisation says of a postcode or a customer",
        Column("postcode", TEXT, "Postal code"),
        Column("customer_id", TEXT, "Id of the customer"),
        _needed("as_of", TIME, "From when on it was known"),
        either=(("postcode", "customer_id"),),
        further="an attribute",
    ),
    _table(
        "paths",
        "How often one path was walked",
        _needed("path", TEXT, 'Steps, "a > b > c"'),
        _needed("conversions", "decimal(18, 4)", "Walks that converted; fractions are kept", low=0),
        _needed("nulls", "decimal(18, 4)", "Walks that did not", low=0),
        Column("value", MONEY, "Revenue of the conversions; no page uses it yet"),
        key=("path",),
    ),
)

# Tables that a page makes and that hold an identifier; no file of a user's can be one.
MADE = _by_name(
    _table(
        "profiles",
        "One person",
        _needed("person_id", TEXT, "Pseudonym of the person"),
        _identifier(
            "postcode", TEXT, "Postal code; shown for identity resolution and third-party enrichment only"
        ),
        key=("person_id",),
        further="a count of records, a decade of birth, a date",
    ),
    _table(
        "postcodes",
        "One postcode of one person, from the day it was recorded",
        _needed("person_id", TEXT, "Pseudonym of the person"),
        _identifier("postcode", TEXT, "Postal code; shown for third-party enrichment only"),
        further="a date",
    ),
    _table(
        "profile_history",
        "One value of one field of one person, from the day it was recorded",
        _needed("person_id", TEXT, "Pseudonym of the person"),
        _identifier("value", TEXT, "The value; shown for identity resolution only"),
        further="the field, its source, the day, and whether the value differs from the one before",
    ),
    _table(
        "profile_values",
        "One field of one person's golden profile, and where its value comes from",
        _needed("person_id", TEXT, "Pseudonym of the person"),
        _identifier("value", TEXT, "The value; shown for identity resolution only"),
        key=("person_id", "field"),
        further="the field, its source, rule, date and the number of values it was chosen from",
    ),
)

# A data set may hold several tables of one kind.
_KINDS = {"coupon_contacts": "contacts", "factorial": "experiment", "ongoing": "experiment"}


def schema_of(name: str) -> Schema | None:
    """Return the schema of a table, with or without its stage, or None for a table of a page without identifiers.

    >>> schema_of("clean/coupon_contacts").name
    'contacts'
    """
    bare = name.rsplit("/", 1)[-1]
    return SCHEMAS.get(_KINDS.get(bare, bare)) or MADE.get(name)
