"""What vendors say about their hardware: fetched, vetted, kept, and never older than it was.

    request ── source.py ──► store ◄── engine.py ── vendors/ ── dial.py ──► AMD's KDS, Intel's PCS or a PCCS
                  │ what is not held becomes a *want* ▲
                  └───────────────────────────────────┘ refresher.py, in the background

What must stay true: a request never waits for a vendor, and nothing out of evidence or a request shapes a
URL; only what `verifiers.vetting` made is held; only configured sources move the ratchet (`ratchet.py`).
"""
