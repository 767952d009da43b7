"""Exact questions about policies: what one allows and another does not, what none allows, what would help.

The language compares claims with constants only, so each claim's domain falls into finitely many cells that
no rule can tell apart, and every question is a search over cells (`space.py`, `encode.py`, `formula.py`).
"""
