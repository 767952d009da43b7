"""Pure verification of confidential-computing evidence.

Nothing below this package opens a file or a socket, reads a clock, an environment variable or
randomness: bytes, endorsements and a time come in as arguments, a verdict with its reasons goes
out. `tests/unit/test_imports.py` holds the package to that.
"""
