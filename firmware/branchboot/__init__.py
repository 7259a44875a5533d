"""What chooses the slot that runs, and puts updates into the other one.

It outlives what it starts: frozen on a board, installed once on Linux. So it imports nothing of
`branchline`, whose code lies in the slots, and what it passes there is one plain object.
"""
