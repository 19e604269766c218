"""The errors a user is meant to read."""


class JourneybookError(ValueError):
    """Data or parameters cannot be used; the message is one sentence: what, where, found, needed."""


class TooLittle(JourneybookError):
    """The data are too few or too much alike for a page: it is listed as not run, and that is no mistake."""
