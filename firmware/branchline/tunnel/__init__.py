"""Engines that keep tunnels up, and what chooses their remotes."""
