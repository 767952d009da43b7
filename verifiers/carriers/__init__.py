"""The envelopes that evidence travels in, told apart by content, opened to the bytes that were signed."""
