"""journeybook: a whole customer journey, from raw records to a decision and its measured effect."""

__version__ = "0.1.0"
