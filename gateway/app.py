"""The composition root: a configuration becomes objects here, and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gateway import admins, approving
from gateway.adapters import OsRandom, SystemClock
from gateway.administration import Office, activate_shipped
from gateway.appraiser import Appraiser
from gateway.attempts import Recorder
from gateway.caches import LruChains
from gateway.collateral import assembly
from gateway.collateral.desk import Desk
from gateway.collateral.engine import Engine
from gateway.collateral.importing import Importer, revet
from gateway.collateral.slots import EARLY
from gateway.collateral.source import HeldSource
from gateway.collateral.status import View
from gateway.config import Config
from gateway.errors import GatewayError, GatewayReason
from gateway.forecast.fleet import Forecaster
from gateway.http.handlers import Site
from gateway.http.metrics import Metrics
from gateway.http.openapi import describe
from gateway.http.routes import ROUTES
from gateway.keys import FileKeys
from gateway.oidc.keyset import KeySet
from gateway.oidc.login import Provider
from gateway.pipeline import Gateway
from gateway.policybook import PolicyBook
from gateway.ports import Clock, Keys, Random
from gateway.reading import InProcess, Reader
from gateway.releasing import Releaser
from gateway.replay.archive import Archive
from gateway.secrets import Vault
from gateway.shadow import Shadows
from gateway.store import Server, Store, StoreKind, open_store
from verifiers.model import AnchorSet

DATABASE = "sealgate.db"
log = logging.getLogger("sealgate.app")


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
    with open_store(place(config), create=None, expect=None, clock=clock, random=random) as store:
        _keys(config, store, clock, random)
        return admins.recover(store=store.administrators, clock=clock, random=random, deliver=deliver)


def place(config: Config) -> Path | Server:
    """Where the store is."""
    return config.store or config.database_folder / DATABASE


def store_exists(config: Config) -> bool:
    """Raises GatewayError: of a server, as `open_store`."""
    if config.store is None:
        return (config.database_folder / DATABASE).exists()
    try:
        open_store(config.store, create=None, expect=None, clock=SystemClock(), random=OsRandom()).close()
    except GatewayError as error:
        if error.reason is GatewayReason.STORE_ABSENT:
            return False
        raise
    return True


def prepare(
    config: Config,
    deliver: Callable[[admins.Credential], None] = lambda credential: None,
    clock: Clock | None = None,
) -> Prepared:
    """Create store, keys, shipped baselines and first administrator, unless they are there. The administrator
    is the last of it: whatever fails before leaves no credential to be lost, and the next start goes on.

    deliver: as `admins.create`, for the first administrator. Raises what it raises, LedgerUnavailable, and
    GatewayError: the store's and the keys' own reasons, STORE_KIND above all when the mode is not the one
    that the store was created in, and KEYS_ABSENT when a store in use has lost its keys.
    clock: the machine's, but for drills.
    """
    clock, random = clock or SystemClock(), OsRandom()
    store = open_store(place(config), create=_kind(config), expect=None, clock=clock, random=random)
    try:
        created = store.ledger.head() is None
        _prepare_keys(config, store, clock, random)
        _vet_what_is_held(config, store, clock.now())
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


def _prepare_keys(config: Config, store: Store, clock: Clock, random: Random) -> None:
    """Keys are made once in the life of a store, before anything else happens in it: a store whose ledger has
    begun has keys somewhere, and new ones in their place would open none of its secrets and hide the loss.
    A start that was interrupted before the entry finishes what it began. Of replicas that start at once, each
    with a folder of its own, the first to note its keys is right."""
    if store.ledger.head() is not None:
        _keys(config, store, clock, random)
        return
    keys = FileKeys.create(config.keys_folder, store.identity, random)
    store.key_ids.agree(keys.names(), clock.now())
    signing, kek = keys.key_ids()
    store.ledger.append("", "keys.create", {"signing": list(signing), "kek": list(kek), "by": "setup"})


def _keys(config: Config, store: Store, clock: Clock, random: Random) -> FileKeys:
    """The keys that this store knows. Raises GatewayError: as `FileKeys.load`, and KEYS_FOREIGN for a folder
    that is not the one of the other replicas."""
    keys = FileKeys.load(config.keys_folder, store.identity, random)
    store.key_ids.agree(keys.names(), clock.now())
    return keys


def compose(config: Config, clock: Clock | None = None, reader: Reader | None = None) -> tuple[Site, Store]:
    """Everything that one worker process needs, over a store that exists; clock as for `prepare`. reader: who
    reads evidence; None: this process, uncontained, as only tests and tools want it."""
    clock, random = clock or SystemClock(), OsRandom()
    store = open_store(place(config), create=None, expect=_kind(config), clock=clock, random=random)
    keys = _keys(config, store, clock, random)
    metrics = Metrics()
    vault = Vault(store=store.secrets, keys=keys, clock=clock)
    office = _office(store, clock)
    found = archive(config, store, keys, clock)
    issuer = config.issuer_name
    appraiser = Appraiser(
        source=_source(config, store),
        book=PolicyBook(store.documents, office.sources),
        anchors=_anchors(store),
        cache=LruChains(config.limits.chains),
        reader=reader or InProcess(),
    )
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
        appraiser=appraiser,
        recorder=_recorder(store, keys, metrics),
        releaser=Releaser(issuer=issuer, keys=keys, journal=store.journal, vault=vault),
        shadows=_shadows(store, office, appraiser, metrics),
    )
    site = Site(
        config=config,
        gateway=gateway,
        office=office,
        desk=_desk(config, store),
        vault=vault,
        archive=found,
        forecaster=forecaster(config, store, found),
        gauges=store.gauges,
        administrators=store.administrators,
        provider=_provider(config, store, keys),
        metrics=metrics,
        openapi=describe(ROUTES, issuer=issuer),
    )
    return site, store


def _recorder(store: Store, keys: Keys, metrics: Metrics) -> Recorder:
    return Recorder(
        journal=store.journal,
        keys=keys,
        count=lambda outcome, reason: metrics.count(
            "sealgate_decisions_total", outcome=outcome, reason=reason
        ),
        ignored=lambda reason: metrics.count("sealgate_ignored_requests_total", reason=reason),
    )


def _shadows(store: Store, office: Office, appraiser: Appraiser, metrics: Metrics) -> Shadows:
    return Shadows(
        store=store.shadows,
        proposed=store.proposals,
        documents=store.documents,
        sources=office.sources,
        judge=appraiser.judge,
        count=lambda result: metrics.count("sealgate_shadow_answers_total", result=result),
    )


def _provider(config: Config, store: Store, keys: Keys) -> Provider | None:
    """Who else knows administrators. Raises GatewayError(KEYS_MALFORMED) for a file that is no key set."""
    if config.oidc is None:
        return None
    try:
        keyset = KeySet(config.oidc)
    except (OSError, ValueError) as error:
        raise GatewayError(
            GatewayReason.KEYS_MALFORMED,
            "the keys of the identity provider cannot be read",
            where=str(config.oidc.jwks_file),
            expected="a JWK set",
            found=str(error),
        ) from None
    return Provider(settings=config.oidc, keyset=keyset, keys=keys, administrators=store.administrators)


def archive(config: Config, store: Store, keys: Keys, clock: Clock) -> Archive:
    """What replays read."""
    return Archive(
        appraisals=store.appraisals,
        collateral=store.collateral,
        documents=store.documents,
        source=_source(config, store),
        keys=keys,
        clock=clock,
    )


def forecaster(config: Config, store: Store, found: Archive) -> Forecaster:
    """found: what `archive` made."""
    early = None if config.collateral.channel == EARLY else _source(config, store, EARLY)
    return Forecaster(archive=found, early=early, anchors=_anchors(store))


def _source(config: Config, store: Store, channel: str | None = None) -> HeldSource:
    return HeldSource(
        store.collateral,
        ages=config.collateral.ages(),
        channel=channel or config.collateral.channel,
        wanting=assembly.wanting(config.collateral, store.chores, development=store.development),
    )


def look_ahead(config: Config, store: Store) -> Forecaster:
    """What the process that keeps house forecasts with. Raises GatewayError: the keys' own reasons."""
    clock = SystemClock()
    keys = FileKeys.load(config.keys_folder, store.identity, OsRandom())
    return forecaster(config, store, archive(config, store, keys, clock))


def open_archive(config: Config) -> tuple[Archive, Store]:
    """The same over a store that exists, for who looks into it from outside the gateway's processes.

    Raises GatewayError: the store's and the keys' own reasons."""
    clock, random = SystemClock(), OsRandom()
    store = open_store(place(config), create=None, expect=None, clock=clock, random=random)
    try:
        keys = _keys(config, store, clock, random)
        return archive(config, store, keys, clock), store
    except BaseException:
        store.close()
        raise


def _anchors(store: Store) -> AnchorSet:
    """Simulated roots count in a store that was created for them, whatever the command line says."""
    return AnchorSet.VENDOR_AND_SIMULATED if store.development else AnchorSet.VENDOR


def _kind(config: Config) -> StoreKind:
    return StoreKind.DEVELOPMENT if config.development else StoreKind.PRODUCTION


def _office(store: Store, clock: Clock) -> Office:
    desk = approving.Desk(
        store=store.approvals, store_id=store.store_id, development=store.development, clock=clock
    )
    return Office(
        documents=store.documents,
        ledger=store.ledger,
        clock=clock,
        desk=desk,
        proposals=store.proposals,
        shadows=store.shadows,
    )


def _desk(config: Config, store: Store) -> Desk:
    settings = config.collateral
    vendors = assembly.vendors(settings, development=store.development)
    view = View(
        store=store.collateral,
        chores=store.chores,
        rules=assembly.rules(settings),
        channel=settings.channel,
        offline=not vendors,
    )
    return Desk(
        importer=_importer(config, store),
        view=view,
        vendors=vendors,
        bundle_keys=frozenset(settings.bundle_keys),
    )


def _importer(config: Config, store: Store) -> Importer:
    return Importer(
        store=store.collateral,
        ledger=store.ledger,
        anchors=_anchors(store),
        ages=config.collateral.ages(),
        channel=config.collateral.channel,
    )


def engine(config: Config, store: Store) -> Engine | None:
    """What fetches collateral in the background; None when nobody is to be asked."""
    return assembly.engine(
        config.collateral,
        store=store.collateral,
        chores=store.chores,
        ledger=store.ledger,
        clock=SystemClock(),
        anchors=_anchors(store),
        development=store.development,
        owner=OsRandom().bytes(8).hex(),
    )


def _vet_what_is_held(config: Config, store: Store, now: datetime) -> None:
    """Collateral from before there was vetting: what is genuine and current is held from now on."""
    left = store.collateral.unvetted()
    for digest, problem in revet(_importer(config, store), left, now).items():
        if problem:
            log.warning("collateral %s of an older version is not held any more: %s", digest[:12], problem)
        store.collateral.forget_unvetted(digest, now)
