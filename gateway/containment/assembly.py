"""From a configuration to whoever reads evidence."""

from __future__ import annotations

import atexit

from gateway.config import Config
from gateway.containment.nursery import Nursery
from gateway.containment.pool import Pool
from gateway.containment.reader import Contained
from gateway.containment.settings import OFF
from gateway.reading import InProcess, Reader


def reader_for(config: Config) -> Reader:
    """For one worker process of the gateway; its first reader is there when this returns.

    Raises GatewayError: CONTAINED_UNSUPPORTED where the mode is "required" and this machine cannot,
    CONTAINED_UNAVAILABLE when there is no reader at all.
    """
    if config.containment_mode == OFF:
        return InProcess()
    pool = pool_of(config)
    pool.start()
    atexit.register(pool.close)
    return Contained(pool)


def require(config: Config) -> None:
    """Find out before anything is created whether `reader_for` will be able to. Raises what it raises."""
    if config.containment_mode != OFF:
        pool = pool_of(config)
        try:
            pool.start()
        finally:
            pool.close()


def pool_of(config: Config) -> Pool:
    """As many readers as there are threads that ask."""
    return Pool(
        Nursery(),
        mode=config.containment_mode,
        seconds=config.containment.seconds,
        most=config.listen.threads,
    )
