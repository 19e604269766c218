"""The one error a user is meant to read."""


class JourneybookError(ValueError):
    """Data or parameters cannot be used; the message is one sentence: what, where, found, needed."""
