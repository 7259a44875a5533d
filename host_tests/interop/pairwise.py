"""Pairwise test design: few rows in which every two values of different factors meet."""

import itertools


def pairwise(factors: dict[str, tuple]) -> list[dict]:
    """Rows that cover every pair of values; the same factors always give the same rows.

    Greedy: each row begins with a pair that no row has yet, and takes of every other factor the
    value that covers most of the missing pairs.
    """
    missing = pairs_of(factors)
    rows = []
    while missing:
        row = dict(min(missing, key=lambda pair: sorted(map(str, pair))))
        for name, values in factors.items():
            if name not in row:
                row[name] = max(values, key=lambda value, name=name: len(
                    _pairs({**row, name: value}) & missing))
        missing -= _pairs(row)
        rows.append({name: row[name] for name in factors})
    return rows


def pairs_of(factors: dict[str, tuple]) -> set[frozenset]:
    """Every pair of (factor, value) with different factors."""
    pairs = set()
    for (a, a_values), (b, b_values) in itertools.combinations(factors.items(), 2):
        pairs |= {frozenset({(a, x), (b, y)}) for x in a_values for y in b_values}
    return pairs


def covered(rows: list[dict]) -> set[frozenset]:
    """The pairs that some row has."""
    return set().union(*map(_pairs, rows))


def _pairs(row: dict) -> set[frozenset]:
    return {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
