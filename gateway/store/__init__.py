"""The one home of state: SQLite behind the ports of `gateway/ports.py`.

`open_store` is the door; each repository has a file of its own; `database.py` says what durability and
concurrency rest on.
"""

from gateway.store.opening import Store, StoreIdentity, StoreKind, open_store

__all__ = ["Store", "StoreIdentity", "StoreKind", "open_store"]
