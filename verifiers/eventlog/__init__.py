"""Event logs that travel beside a TDX quote: read, replayed, and asked what in them is bound to a digest."""
