"""Configuration, the poll loop, and the one place that wires parts together."""
