"""What the lab says when something does not work."""


class LabError(Exception):
    """A step of the lab failed; the message says which, why, and shows the end of the log."""
