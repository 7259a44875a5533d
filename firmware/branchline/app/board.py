"""The entry on a microcontroller board."""

from branchline.app import run


def main(slot):
    """Runs the gateway of a slot (branchboot.slots.Choice) until it ends; returns its code."""
    return run.main([slot.folder], slot)
