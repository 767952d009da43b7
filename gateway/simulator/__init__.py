"""Mints vendor-shaped evidence under roots of its own. Nothing else in the tree mints evidence."""
