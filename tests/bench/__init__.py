"""Measurements: `make bench`. Every verification sees evidence it has not seen before; verdicts are never
remembered. Figures are comparable only within one run; budgets are ratios."""
