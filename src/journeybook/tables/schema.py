"""The canonical tables: which columns each may have, of which type, and which are needed."""

from dataclasses import dataclass, field

MONEY = "decimal(18, 4)"

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
        without: What is lost where an optional column is absent.
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
    without: str = ""


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


PURPOSES = (
    "identity_resolution",
    "analytics",
    "personalisation",
    "marketing_email",
    "marketing_sms",
    "marketing_push",
    "third_party_enrichment",
)


SCHEMAS: dict[str, Schema] = {
    schema.name: schema
    for schema in (
        Schema(
            "customer_records",
            "What one source knows of one customer",
            (
                Column("record_id", "string", "Id of the record", required=True, nullable=False),
                Column("source", "string", "System the record comes from", required=True, nullable=False),
                Column(
                    "customer_id",
                    "string",
                    "Id of the customer in the other tables; one namespace over all sources",
                    required=True,
                    nullable=False,
                ),
                Column(
                    "given_name",
                    "string",
                    "Given name",
                    identifier=True,
                    without="records are linked by the fields that are left",
                ),
                Column(
                    "surname",
                    "string",
                    "Family name",
                    identifier=True,
                    without="records are linked by the fields that are left",
                ),
                Column("email", "string", "E-mail address", identifier=True, without="no link by exact e-mail"),
                Column("phone", "string", "Telephone number", identifier=True, without="no link by phone"),
                Column("address", "string", "Street and number", identifier=True, without="no link by address"),
                Column(
                    "postcode",
                    "string",
                    "Postal code; shown for identity resolution and third-party enrichment only",
                    identifier=True,
                    without="no third-party attributes by postcode",
                ),
                Column("birth_date", "date", "Date of birth", identifier=True, without="no link by birth date"),
                Column(
                    "updated_at",
                    "timestamp(6)",
                    "When the record was last changed, naive local time",
                    without="the golden profile takes the last row of a source instead of the latest",
                ),
            ),
            key=("record_id",),
        ),
        Schema(
            "transactions",
            "One line of a receipt",
            (
                Column("customer_id", "string", "Id of the customer; empty for a guest", required=True),
                Column(
                    "occurred_at",
                    "timestamp(6)",
                    "When it was paid, naive local time",
                    required=True,
                    nullable=False,
                ),
                Column(
                    "revenue",
                    MONEY,
                    "Amount received for the line, in the currency of the data set; negative for a return",
                    required=True,
                    nullable=False,
                ),
                Column(
                    "basket_id",
                    "string",
                    "Id of the receipt",
                    without="all lines of one customer at one moment count as one basket",
                ),
                Column("product_id", "string", "Id of the product", without="no features by product"),
                Column("quantity", MONEY, "Units, or volume for fuel", without="no check of quantities"),
                Column(
                    "discount",
                    MONEY,
                    "Reduction granted on the line, in currency, 0 or more",
                    without="no discount share",
                ),
                Column("store_id", "string", "Id of the shop", without="no count of shops visited"),
            ),
        ),
        Schema(
            "products",
            "One product",
            (
                Column("product_id", "string", "Id of the product", required=True, nullable=False),
                Column("name", "string", "Name of the product", without="products are shown by id"),
                Column("category", "string", "Category", without="no features by category"),
                Column("brand", "string", "Brand", without="no features by brand"),
            ),
            key=("product_id",),
            further="an attribute of the product",
        ),
        Schema(
            "events",
            "One step of a visit to the site or app",
            (
                Column(
                    "session_id",
                    "string",
                    "Id of the visit",
                    without="visits are cut where a customer pauses for session_gap_minutes",
                ),
                Column("customer_id", "string", "Id of the customer; empty for an unknown visitor"),
                Column("event", "string", "Name of the step", required=True, nullable=False),
                Column(
                    "occurred_at",
                    "timestamp(6)",
                    "When it happened, naive local time",
                    without="steps are ordered by position, and nothing is said of time",
                ),
                Column("position", "int64", "Order within the visit, from 1", low=0),
                Column("channel", "string", "What brought the visitor", without="no attribution to channels"),
                Column("device", "string", "Device used", without="no comparison of devices"),
            ),
            either=(("session_id", "customer_id"), ("occurred_at", "position")),
        ),
        Schema(
            "contacts",
            "One decision to contact a customer, or not to",
            (
                Column(
                    "responded",
                    "boolean",
                    "Whether the customer responded",
                    required=True,
                    nullable=False,
                ),
                Column("contact_id", "string", "Id of the decision", without="rows are known by number"),
                Column(
                    "customer_id",
                    "string",
                    "Id of the customer",
                    without="no features, no split by person, no clustered intervals",
                ),
                Column(
                    "occurred_at",
                    "timestamp(6)",
                    "When it was sent, naive local time",
                    without="no split by time, no features as of sending",
                ),
                Column("channel", "string", "How; `none` is a decision not to send", without="one channel"),
                Column(
                    "propensity",
                    "float64",
                    "Probability with which this channel was chosen",
                    low=0,
                    high=1,
                    without="no value of another policy",
                ),
                Column("opened", "boolean", "Opened, known only after sending"),
                Column("clicked", "boolean", "Clicked, known only after sending"),
                Column("value", MONEY, "Revenue of the response, in currency; known only after sending"),
            ),
            key=("contact_id",),
            further="a feature known before the contact",
        ),
        Schema(
            "consents",
            "One grant or refusal of one purpose",
            (
                Column("customer_id", "string", "Id of the customer", required=True, nullable=False),
                Column(
                    "purpose",
                    "string",
                    "What the data may be used for",
                    required=True,
                    nullable=False,
                    allowed=PURPOSES,
                ),
                Column("granted", "boolean", "Granted or refused", required=True, nullable=False),
                Column(
                    "occurred_at",
                    "timestamp(6)",
                    "When the customer decided, naive local time",
                    required=True,
                    nullable=False,
                ),
                Column(
                    "recorded_at",
                    "timestamp(6)",
                    "When the decision reached the ledger",
                    without="a decision counts from the moment it was made",
                ),
                Column("expires_at", "timestamp(6)", "When a grant ends", without="grants do not end"),
            ),
        ),
        Schema(
            "experiment",
            "One unit of an experiment",
            (
                Column("variant", "string", "Arm the unit was assigned to", required=True, nullable=False),
                Column("unit_id", "string", "Id of the unit", without="a unit listed twice is not noticed"),
                Column("customer_id", "string", "Id of the customer", without="consent is not consulted"),
                Column("occurred_at", "timestamp(6)", "When it was assigned", without="nothing by day"),
                Column(
                    "exposed_at",
                    "timestamp(6)",
                    "When it first met what is tested",
                    without="an exposure before the assignment is not noticed",
                ),
                Column("stratum", "string", "Stratum of the assignment", without="no strata"),
                Column("cluster", "string", "Group assigned as one", without="units count as independent"),
            ),
            key=("unit_id",),
            further="a metric or a covariate",
        ),
        Schema(
            "outcomes",
            "One thing that a unit of an experiment did",
            (
                Column("unit_id", "string", "Id of the unit, as in `experiment`", required=True, nullable=False),
                Column("customer_id", "string", "Id of the customer", without="consent is not consulted"),
                Column(
                    "occurred_at",
                    "timestamp(6)",
                    "When it happened",
                    without="outcomes before the exposure count as after it, and no window is cut",
                ),
            ),
            further="an amount or a mark to be aggregated",
        ),
        Schema(
            "third_party",
            "What another organisation says of a postcode or a customer",
            (
                Column("postcode", "string", "Postal code"),
                Column("customer_id", "string", "Id of the customer"),
                Column(
                    "as_of",
                    "timestamp(6)",
                    "From when on it was known",
                    required=True,
                    nullable=False,
                ),
            ),
            either=(("postcode", "customer_id"),),
            further="an attribute",
        ),
        Schema(
            "paths",
            "How often one path was walked",
            (
                Column("path", "string", 'Steps, "a > b > c"', required=True, nullable=False),
                Column(
                    "conversions",
                    "decimal(18, 4)",
                    "Walks that converted; fractions are kept",
                    required=True,
                    nullable=False,
                    low=0,
                ),
                Column("nulls", "decimal(18, 4)", "Walks that did not", required=True, nullable=False, low=0),
                Column("value", MONEY, "Revenue of the conversions; no page uses it yet"),
            ),
            key=("path",),
        ),
    )
}

# Tables that a page makes and that hold an identifier; no file of a user's can be one.
MADE: dict[str, Schema] = {
    "profiles": Schema(
        "profiles",
        "One person",
        (
            Column("person_id", "string", "Pseudonym of the person", required=True, nullable=False),
            Column(
                "postcode",
                "string",
                "Postal code; shown for identity resolution and third-party enrichment only",
                identifier=True,
            ),
        ),
        key=("person_id",),
        further="a count of records, a decade of birth, a date",
    ),
    "postcodes": Schema(
        "postcodes",
        "One postcode of one person, from the day it was recorded",
        (
            Column("person_id", "string", "Pseudonym of the person", required=True, nullable=False),
            Column("postcode", "string", "Postal code; shown for third-party enrichment only", identifier=True),
        ),
        further="a date",
    ),
}

# A data set may hold several tables of one kind.
_KINDS = {"coupon_contacts": "contacts", "factorial": "experiment", "ongoing": "experiment"}


def schema_of(name: str) -> Schema | None:
    """Return the schema of a table, with or without its stage, or None for a table of a page without identifiers.

    >>> schema_of("clean/coupon_contacts").name
    'contacts'
    """
    bare = name.rsplit("/", 1)[-1]
    return SCHEMAS.get(_KINDS.get(bare, bare)) or MADE.get(name)
