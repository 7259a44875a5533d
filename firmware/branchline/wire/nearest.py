"""The known word nearest to a misspelt one, for error messages."""


def distance(a, b):
    """Edits that turn a into b: insert, delete, replace, swap neighbours (optimal alignment)."""
    before, last = None, list(range(len(b) + 1))
    for i, x in enumerate(a):
        row = [i + 1]
        for j, y in enumerate(b):
            best = min(row[j] + 1, last[j + 1] + 1, last[j] + (x != y))
            if i and j and x == b[j - 1] and y == a[i - 1]:
                best = min(best, before[j - 1] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]


def nearest(word, known):
    """The first of the words `known` with the least distance to word, or None if all are far."""
    best, least = None, max(2, len(word) // 3) + 1
    for candidate in known:
        if abs(len(candidate) - len(word)) < least:
            edits = distance(word, candidate)
            if edits < least:
                best, least = candidate, edits
    return best
