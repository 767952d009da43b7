"""Which machines that are accepted today will not be, when, and what is short: from evidence that is kept.

`outlook.py` is pure: one machine under today's and other collateral, baselines and times. `fleet.py` finds
the machines in a store and sums up; `gauges.py` is what an alert gets to see. Nothing here stores evidence or
releases anything, and nothing that it finds changes a verdict.
"""
