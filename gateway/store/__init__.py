"""The one home of state: SQLite or PostgreSQL behind the ports of `gateway/ports.py`.

`open_store` is the door; each repository has a file of its own; `database.py` says what durability and
concurrency rest on.
"""

from gateway.store.identity import StoreIdentity, StoreKind
from gateway.store.opening import Store, open_store
from gateway.storeserver import Server

__all__ = ["Server", "Store", "StoreIdentity", "StoreKind", "open_store"]
