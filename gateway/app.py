"""The composition root: a configuration becomes objects here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from gateway import admins
from gateway.adapters import OsRandom, SystemClock
from gateway.administration import Office, activate_shipped
from gateway.appraiser import Appraiser
from gateway.approving import Desk
from gateway.attempts import Recorder
from gateway.caches import LruChains
from gateway.collateral import StoredCollateralSource
from gateway.config import Config
from gateway.http.handlers import Site
from gateway.http.metrics import Metrics
from gateway.http.openapi import describe
from gateway.http.routes import ROUTES
from gateway.keys import FileKeys
from gateway.pipeline import Gateway
from gateway.policybook import PolicyBook
from gateway.ports import Random
from gateway.releasing import Releaser
from gateway.secrets import Vault
from gateway.store import Store, StoreKind, open_store
from verifiers.model import AnchorSet

DATABASE = "sealgate.db"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What starting found or made. store: must stay open while workers run, or their challenges end.
    credential: of the first administrator, if that was made now."""

    store: Store
    created: bool
    credential: admins.Credential | None


def recover(config: Config, deliver: Callable[[admins.Credential], None]) -> admins.Credential:
    """A new administrator of the whole gateway, for whoever holds its data folder.

    deliver: as `admins.create`. It takes the database and the keys that belong to it: whoever has both has
    every secret already, so this gives nobody more than they had. Raises GatewayError: as `open_store` and
    `FileKeys.load`.
    """
    clock, random = SystemClock(), OsRandom()
    path = config.database_folder / DATABASE
    with open_store(path, create=None, expect=None, clock=clock, random=random) as store:
        FileKeys.load(config.keys_folder, store.identity, random)
        return admins.recover(store=store.administrators, clock=clock, random=random, deliver=deliver)


def store_exists(config: Config) -> bool:
    return (config.database_folder / DATABASE).exists()


def prepare(
    config: Config, deliver: Callable[[admins.Credential], None] = lambda credential: None
) -> Prepared:
    """Create store, keys, shipped baselines and first administrator, unless they are there. The administrator
    is the last of it: whatever fails before leaves no credential to be lost, and the next start goes on.

    deliver: as `admins.create`, for the first administrator. Raises what it raises, LedgerUnavailable, and
    GatewayError: the store's and the keys' own reasons, STORE_KIND above all when the mode is not the one
    that the store was created in, and KEYS_ABSENT when a store in use has lost its keys.
    """
    clock, random = SystemClock(), OsRandom()
    path = config.database_folder / DATABASE
    created = not path.exists()
    store = open_store(path, create=_kind(config), expect=None, clock=clock, random=random)
    try:
        _prepare_keys(config, store, random)
        credential = None
        if not store.administrators.list():
            activate_shipped(_office(store, clock), by="setup")
            credential = admins.create(
                "", store=store.administrators, clock=clock, random=random, by="setup", deliver=deliver
            )
        return Prepared(store, created, credential)
    except BaseException:
        store.close()
        raise


def _prepare_keys(config: Config, store: Store, random: Random) -> None:
    """Keys are made once in the life of a store, before anything else happens in it: a store whose ledger has
    begun has keys somewhere, and new ones in their place would open none of its secrets and hide the loss.
    A start that was interrupted before the entry finishes what it began."""
    if store.ledger.head() is not None:
        FileKeys.load(config.keys_folder, store.identity, random)
        return
    signing, kek = FileKeys.create(config.keys_folder, store.identity, random).key_ids()
    store.ledger.append("", "keys.create", {"signing": list(signing), "kek": list(kek), "by": "setup"})


def compose(config: Config) -> tuple[Site, Store]:
    """Everything that one worker process needs, over a store that exists."""
    clock, random = SystemClock(), OsRandom()
    store = open_store(
        config.database_folder / DATABASE, create=None, expect=_kind(config), clock=clock, random=random
    )
    keys = FileKeys.load(config.keys_folder, store.identity, random)
    metrics = Metrics()
    vault = Vault(store=store.secrets, keys=keys, clock=clock)
    office = _office(store, clock)
    issuer = config.issuer_name
    gateway = Gateway(
        issuer=issuer,
        audiences=frozenset({issuer, *config.audiences}),
        development=store.development,
        token_life=timedelta(seconds=config.limits.token_seconds),
        clock=clock,
        random=random,
        keys=keys,
        nonces=store.nonces,
        appraisals=store.appraisals,
        appraiser=Appraiser(
            source=StoredCollateralSource(store.collateral),
            book=PolicyBook(store.documents, office.sources),
            anchors=_anchors(store),
            cache=LruChains(config.limits.chains),
        ),
        recorder=Recorder(
            journal=store.journal,
            count=lambda outcome, reason: metrics.count(
                "sealgate_decisions_total", outcome=outcome, reason=reason
            ),
            ignored=lambda reason: metrics.count("sealgate_ignored_requests_total", reason=reason),
        ),
        releaser=Releaser(issuer=issuer, keys=keys, journal=store.journal, vault=vault),
    )
    site = Site(
        config=config,
        gateway=gateway,
        office=office,
        vault=vault,
        administrators=store.administrators,
        metrics=metrics,
        openapi=describe(ROUTES, issuer=issuer),
    )
    return site, store


def _anchors(store: Store) -> AnchorSet:
    """Simulated roots count in a store that was created for them, whatever the command line says."""
    return AnchorSet.VENDOR_AND_SIMULATED if store.development else AnchorSet.VENDOR


def _kind(config: Config) -> StoreKind:
    return StoreKind.DEVELOPMENT if config.development else StoreKind.PRODUCTION


def _office(store: Store, clock: SystemClock) -> Office:
    desk = Desk(store=store.approvals, store_id=store.store_id, development=store.development, clock=clock)
    return Office(
        documents=store.documents, collateral=store.collateral, ledger=store.ledger, clock=clock, desk=desk,
        proposals=store.proposals,
    )  # fmt: skip
