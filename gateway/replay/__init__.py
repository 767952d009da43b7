"""Stored appraisals, made again: the same verdict for the same inputs under the same code, for ever.

`bundle.py` is the format in which everything that an appraisal was made from travels; `again.py` makes it
again and says what differs; `archive.py` takes bundles out of a store. Nothing here stores or releases.
"""
