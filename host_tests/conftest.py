"""Settings of every host test; where modules are found is in pyproject.toml."""

from hypothesis import settings

# How long one example takes says something about the machine, not about the code.
settings.register_profile("branchline", deadline=None)
settings.load_profile("branchline")
