"""The measurement foundry: what a guest's launch measurement must be, computed from what it is launched with.

Pure: bytes in, digests out. What cannot be computed with certainty is refused: see README.md here.
"""
