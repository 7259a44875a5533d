"""Boards without an operating system: lwIP, by our modules in C (boards/c_modules)."""
