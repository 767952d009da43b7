"""The schema, as numbered steps that only go forward.

A step that was released is never edited: its digest is kept beside its number, and a store whose steps
differ is refused. Every table but the two that describe the file itself (`store`, `schema_version`)
has a tenant column; "" is the whole gateway. Times are whole microseconds since 1970, UTC.

The statements are SQLite's. `postgres_schema.py` says them for PostgreSQL, where their forms differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import GatewayError, GatewayReason
from gateway.store import postgres_schema
from gateway.store.connection import Connection
from gateway.store.migration import Migration as Migration
from gateway.store.rebuild import rebuild

APPLICATION_ID = 0x53474154
"""In the header of the file ("SGAT"), so that another program's database is recognised as such."""


def _fixed(table: str, what: str, *, guard_insert: str) -> tuple[str, ...]:
    """Triggers that let rows of `table` neither change nor vanish, and check what is inserted."""
    return (
        f"""CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
            BEGIN SELECT RAISE(ABORT, '{what}: rows never change'); END""",
        f"""CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
            BEGIN SELECT RAISE(ABORT, '{what}: rows are never deleted'); END""",
        f"""CREATE TRIGGER {table}_insert BEFORE INSERT ON {table} WHEN {guard_insert}
            BEGIN SELECT RAISE(ABORT, '{what}: this row does not fit'); END""",
    )


_STORE = (
    """CREATE TABLE store (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        store_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('development', 'production')),
        created INTEGER NOT NULL) STRICT""",
    *_fixed("store", "store", guard_insert="EXISTS (SELECT 1 FROM store)"),
    """CREATE TABLE counter (
        tenant TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,
        PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID""",
)

_NONCES = (
    """CREATE TABLE nonce (
        tenant TEXT NOT NULL, nonce_id BLOB NOT NULL, expires INTEGER NOT NULL,
        PRIMARY KEY (tenant, nonce_id)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX nonce_by_expiry ON nonce (expires)",
)

_SECRETS = (
    # Outlives the secret: versions are not reused after a removal.
    """CREATE TABLE secret_path (
        tenant TEXT NOT NULL, path TEXT NOT NULL, last_version INTEGER NOT NULL CHECK (last_version > 0),
        PRIMARY KEY (tenant, path)) STRICT, WITHOUT ROWID""",
    """CREATE TRIGGER secret_path_grows BEFORE UPDATE ON secret_path
        WHEN NEW.last_version <= OLD.last_version OR NEW.tenant <> OLD.tenant OR NEW.path <> OLD.path
        BEGIN SELECT RAISE(ABORT, 'secret: versions only grow'); END""",
    """CREATE TRIGGER secret_path_stays BEFORE DELETE ON secret_path
        BEGIN SELECT RAISE(ABORT, 'secret: versions are not forgotten'); END""",
    """CREATE TABLE secret (
        tenant TEXT NOT NULL, path TEXT NOT NULL, version INTEGER NOT NULL CHECK (version > 0),
        key_id TEXT NOT NULL, sealed BLOB NOT NULL, created INTEGER NOT NULL,
        PRIMARY KEY (tenant, path, version),
        FOREIGN KEY (tenant, path) REFERENCES secret_path (tenant, path)) STRICT""",
    """CREATE TRIGGER secret_no_update BEFORE UPDATE ON secret
        BEGIN SELECT RAISE(ABORT, 'secret: a version never changes'); END""",
)

_DOCUMENTS = (
    """CREATE TABLE document (
        tenant TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('baseline', 'reference', 'release')),
        name TEXT NOT NULL, version INTEGER NOT NULL CHECK (version > 0),
        digest TEXT NOT NULL, source BLOB NOT NULL, activated INTEGER NOT NULL,
        PRIMARY KEY (tenant, kind, name, version),
        CHECK ((kind = 'baseline') = (tenant = ''))) STRICT""",
    *_fixed(
        "document",
        "document",
        guard_insert="""NEW.version <= (SELECT max(version) FROM document
            WHERE tenant = NEW.tenant AND kind = NEW.kind AND name = NEW.name)""",
    ),
    """CREATE TABLE active_document (
        tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (tenant, kind, name),
        FOREIGN KEY (tenant, kind, name, version) REFERENCES document (tenant, kind, name, version)
    ) STRICT, WITHOUT ROWID""",
)

_COLLATERAL = (
    # Superseded rows stay: stored evidence can be replayed with what was known on its day.
    """CREATE TABLE collateral (
        id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('certificate', 'crl', 'tcb-info', 'qe-identity')),
        key TEXT NOT NULL, sha256 TEXT NOT NULL, source BLOB NOT NULL,
        imported INTEGER NOT NULL, superseded INTEGER) STRICT""",
    """CREATE UNIQUE INDEX collateral_current ON collateral (tenant, kind, key)
        WHERE superseded IS NULL""",
)

_APPRAISALS = (
    """CREATE TABLE appraisal (
        jti TEXT PRIMARY KEY, tenant TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
        releasable INTEGER NOT NULL CHECK (releasable IN (0, 1)), verdict TEXT NOT NULL,
        evidence BLOB NOT NULL, runtime_data BLOB NOT NULL, record BLOB NOT NULL) STRICT""",
    "CREATE INDEX appraisal_by_time ON appraisal (tenant, created)",
    """CREATE TRIGGER appraisal_no_update BEFORE UPDATE ON appraisal
        BEGIN SELECT RAISE(ABORT, 'appraisal: a result never changes'); END""",
)

_LEDGER = (
    """CREATE TABLE ledger (
        position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL,
        entry BLOB NOT NULL, head BLOB NOT NULL CHECK (length(head) = 32)) STRICT""",
    "CREATE INDEX ledger_by_tenant ON ledger (tenant, position)",
    *_fixed(
        "ledger",
        "ledger",
        guard_insert="NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM ledger)",
    ),
)

_ADMINISTRATORS = (
    """CREATE TABLE administrator (
        id TEXT PRIMARY KEY, tenant TEXT NOT NULL, role TEXT NOT NULL,
        token_sha256 BLOB NOT NULL CHECK (length(token_sha256) = 32),
        created INTEGER NOT NULL, revoked INTEGER) STRICT""",
)

APPRAISALS_PRUNED_TO = "appraisals-pruned-to"
"""Counter: appraisals from before this time may go."""

_RETENTION = (
    f"""CREATE TRIGGER appraisal_stays BEFORE DELETE ON appraisal
        WHEN OLD.created >= coalesce(
            (SELECT value FROM counter WHERE tenant = '' AND name = '{APPRAISALS_PRUNED_TO}'), 0)
        BEGIN SELECT RAISE(ABORT, 'appraisal: kept until its time is over'); END""",  # noqa: S608
)

_REPLAY = (
    # What verifiers were handed, once for all appraisals that name it. noted: when it was last written down;
    # while a set is in use that is done anew every hour.
    """CREATE TABLE collateral_set (
        digest TEXT PRIMARY KEY, tenant TEXT NOT NULL CHECK (tenant = ''), listing BLOB NOT NULL,
        noted INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
    # evidence is sealed from here on, and runtime_data is in it. Rows from before have key_id ''.
    "ALTER TABLE appraisal ADD COLUMN submission TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE appraisal ADD COLUMN key_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE appraisal ADD COLUMN held_by TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE appraisal ADD COLUMN collateral TEXT NOT NULL DEFAULT ''",
)

_RATCHETED = "('amd.crl', 'intel.pck-crl', 'intel.qe-identity', 'intel.root-crl', 'intel.tcb-info')"
"""Kinds of collateral that never get older. Certificates may: vendors mint the same one anew."""

_CARRIED_OVER = (
    """INSERT INTO collateral_object (sha256, tenant, source, added, released)
        SELECT sha256, '', source, min(imported),
            CASE WHEN count(*) = count(superseded) THEN max(superseded) END
        FROM collateral GROUP BY sha256""",
    """INSERT OR IGNORE INTO collateral_unvetted (tenant, sha256, imported)
        SELECT '', sha256, imported FROM collateral WHERE superseded IS NULL ORDER BY imported DESC""",
)

_ENGINE = (
    # released: when the last slot let go of it; NULL while one refers to it.
    """CREATE TABLE collateral_object (
        sha256 TEXT PRIMARY KEY, tenant TEXT NOT NULL CHECK (tenant = ''),
        source BLOB NOT NULL, added INTEGER NOT NULL, released INTEGER) STRICT""",
    """CREATE TRIGGER collateral_object_fixed BEFORE UPDATE ON collateral_object
        WHEN NEW.sha256 <> OLD.sha256 OR NEW.source <> OLD.source
        BEGIN SELECT RAISE(ABORT, 'collateral: an object never changes'); END""",
    """CREATE TRIGGER collateral_object_stays BEFORE DELETE ON collateral_object WHEN OLD.released IS NULL
        BEGIN SELECT RAISE(ABORT, 'collateral: an object stays while a slot refers to it'); END""",
    "CREATE INDEX collateral_object_released ON collateral_object (released) WHERE released IS NOT NULL",
    # A slot without an object (sha256 NULL) still remembers how far it had come.
    """CREATE TABLE collateral_slot (
        tenant TEXT NOT NULL CHECK (tenant = ''), kind TEXT NOT NULL, key TEXT NOT NULL,
        channel TEXT NOT NULL CHECK (channel IN ('standard', 'early')), variant TEXT NOT NULL,
        simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
        sha256 TEXT REFERENCES collateral_object (sha256),
        previous TEXT REFERENCES collateral_object (sha256),
        origin TEXT NOT NULL CHECK (origin IN ('vendor', 'import')),
        issued INTEGER NOT NULL, ends INTEGER NOT NULL, number INTEGER,
        fetched INTEGER NOT NULL, checked INTEGER NOT NULL,
        PRIMARY KEY (tenant, kind, key, channel, variant, simulated)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX collateral_slot_by_object ON collateral_slot (sha256)",
    "CREATE INDEX collateral_slot_by_previous ON collateral_slot (previous) WHERE previous IS NOT NULL",
    "CREATE INDEX collateral_slot_by_end ON collateral_slot (kind, ends)",
    f"""CREATE TRIGGER collateral_slot_ratchet BEFORE UPDATE ON collateral_slot
        WHEN OLD.kind IN {_RATCHETED}
            AND (NEW.issued < OLD.issued OR coalesce(NEW.number, -1) < coalesce(OLD.number, -1)
                OR NEW.kind <> OLD.kind OR NEW.key <> OLD.key OR NEW.channel <> OLD.channel
                OR NEW.variant <> OLD.variant OR NEW.simulated <> OLD.simulated)
        BEGIN SELECT RAISE(ABORT, 'collateral: a ratchet never goes back'); END""",
    f"""CREATE TRIGGER collateral_slot_stays BEFORE DELETE ON collateral_slot
        WHEN OLD.kind IN {_RATCHETED}
        BEGIN SELECT RAISE(ABORT, 'collateral: a ratchet is not forgotten'); END""",
    # What is to be fetched: wants of requests, and how often the refresh of something failed.
    """CREATE TABLE collateral_task (
        tenant TEXT NOT NULL CHECK (tenant = ''), kind TEXT NOT NULL, key TEXT NOT NULL,
        channel TEXT NOT NULL CHECK (channel IN ('standard', 'early')), need TEXT NOT NULL,
        wanted INTEGER, client TEXT NOT NULL, failures INTEGER NOT NULL, retry_at INTEGER NOT NULL,
        outcome TEXT NOT NULL, outcome_at INTEGER, lease TEXT NOT NULL, lease_until INTEGER NOT NULL,
        PRIMARY KEY (tenant, kind, key, channel)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE collateral_host (
        tenant TEXT NOT NULL CHECK (tenant = ''), name TEXT NOT NULL, failures INTEGER NOT NULL,
        open_until INTEGER NOT NULL, spent_until INTEGER NOT NULL, outcome TEXT NOT NULL,
        outcome_at INTEGER, PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE collateral_budget (
        tenant TEXT NOT NULL CHECK (tenant = ''), client TEXT NOT NULL,
        spent_until INTEGER NOT NULL, PRIMARY KEY (tenant, client)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE collateral_tally (
        tenant TEXT NOT NULL CHECK (tenant = ''), name TEXT NOT NULL, label TEXT NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (tenant, name, label)) STRICT, WITHOUT ROWID""",
    # What an older version held, trusted by nobody yet: vetted when the gateway starts.
    """CREATE TABLE collateral_unvetted (
        tenant TEXT NOT NULL CHECK (tenant = ''), sha256 TEXT NOT NULL REFERENCES collateral_object (sha256),
        imported INTEGER NOT NULL, PRIMARY KEY (tenant, sha256)) STRICT, WITHOUT ROWID""",
    *_CARRIED_OVER,
    "DROP TABLE collateral",
)

_APPROVALS = (
    # A revoked key stays, so that it cannot be registered again.
    """CREATE TABLE approval_key (
        tenant TEXT NOT NULL, thumbprint TEXT NOT NULL, jwk TEXT NOT NULL, administrator TEXT NOT NULL,
        created INTEGER NOT NULL, revoked INTEGER,
        PRIMARY KEY (tenant, thumbprint)) STRICT, WITHOUT ROWID""",
    """CREATE TRIGGER approval_key_ends BEFORE UPDATE ON approval_key
        WHEN OLD.revoked IS NOT NULL OR NEW.revoked IS NULL OR NEW.tenant <> OLD.tenant
            OR NEW.thumbprint <> OLD.thumbprint OR NEW.jwk <> OLD.jwk
            OR NEW.administrator <> OLD.administrator OR NEW.created <> OLD.created
        BEGIN SELECT RAISE(ABORT, 'approval key: it is revoked once, and nothing else'); END""",
    """CREATE TRIGGER approval_key_stays BEFORE DELETE ON approval_key
        BEGIN SELECT RAISE(ABORT, 'approval key: rows are never deleted'); END""",
    """CREATE TABLE tenant_approvals (
        tenant TEXT PRIMARY KEY,
        approvals INTEGER NOT NULL CHECK (approvals BETWEEN 1 AND 16)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE policy_change (
        tenant TEXT NOT NULL, sequence INTEGER NOT NULL,
        action TEXT NOT NULL CHECK (action IN ('activate', 'rollback', 'retire')),
        made INTEGER NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (tenant, sequence)) STRICT, WITHOUT ROWID""",
    *_fixed(
        "policy_change",
        "policy change",
        guard_insert="""NEW.sequence IS NOT
            (SELECT coalesce(max(sequence) + 1, 1) FROM policy_change WHERE tenant = NEW.tenant)""",
    ),
    # A rollback makes an older version count again: since when is no longer when it first did.
    "ALTER TABLE active_document ADD COLUMN since INTEGER",
)

_PROPOSALS = (
    """CREATE TABLE proposal (
        tenant TEXT NOT NULL, id TEXT NOT NULL, created INTEGER NOT NULL, by TEXT NOT NULL,
        files BLOB NOT NULL, PRIMARY KEY (tenant, id)) STRICT""",
    *_fixed("proposal", "proposal", guard_insert="NEW.id = ''"),
    """CREATE TABLE proposal_step (
        tenant TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, at INTEGER NOT NULL,
        step TEXT NOT NULL, by TEXT NOT NULL, detail TEXT NOT NULL,
        PRIMARY KEY (tenant, id, position),
        FOREIGN KEY (tenant, id) REFERENCES proposal (tenant, id)) STRICT, WITHOUT ROWID""",
    *_fixed(
        "proposal_step",
        "proposal step",
        guard_insert="""NEW.position IS NOT
            (SELECT count(*) FROM proposal_step WHERE tenant = NEW.tenant AND id = NEW.id)""",
    ),
)

_SHADOWS = (
    """CREATE TABLE shadow (
        tenant TEXT NOT NULL, number INTEGER NOT NULL, proposal TEXT NOT NULL, started INTEGER NOT NULL,
        by TEXT NOT NULL, stopped INTEGER, differences INTEGER NOT NULL,
        PRIMARY KEY (tenant, number),
        FOREIGN KEY (tenant, proposal) REFERENCES proposal (tenant, id)) STRICT, WITHOUT ROWID""",
    "CREATE UNIQUE INDEX shadow_running ON shadow (tenant) WHERE stopped IS NULL",
    """CREATE TABLE shadow_tally (
        tenant TEXT NOT NULL, number INTEGER NOT NULL, result TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (tenant, number, result)) STRICT, WITHOUT ROWID""",
    # Position counts up within a shadow; the newest ones are kept.
    """CREATE TABLE shadow_difference (
        tenant TEXT NOT NULL, number INTEGER NOT NULL, position INTEGER NOT NULL, at INTEGER NOT NULL,
        attempt TEXT NOT NULL, path TEXT NOT NULL, result TEXT NOT NULL, verdict TEXT NOT NULL,
        reason TEXT NOT NULL, shadow_verdict TEXT NOT NULL, shadow_reason TEXT NOT NULL,
        PRIMARY KEY (tenant, number, position)) STRICT, WITHOUT ROWID""",
)

_TREE = (
    """CREATE TABLE ledger_entry (
        position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL,
        leaf BLOB NOT NULL CHECK (length(leaf) = 32), salt BLOB NOT NULL CHECK (length(salt) = 32),
        entry BLOB NOT NULL) STRICT""",
    "CREATE INDEX ledger_entry_by_tenant ON ledger_entry (tenant, position)",
    *_fixed(
        "ledger_entry",
        "ledger",
        guard_insert="NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM ledger_entry)",
    ),
    # Full tiles of the tree. root: the one hash that its 256 hashes make.
    """CREATE TABLE ledger_tile (
        tenant TEXT NOT NULL CHECK (tenant = ''), level INTEGER NOT NULL, number INTEGER NOT NULL,
        root BLOB NOT NULL CHECK (length(root) = 32), hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
        PRIMARY KEY (level, number)) STRICT""",
    *_fixed(
        "ledger_tile",
        "ledger tile",
        guard_insert="EXISTS (SELECT 1 FROM ledger_tile WHERE level = NEW.level AND number = NEW.number)",
    ),
    """CREATE TABLE ledger_head (
        tenant TEXT PRIMARY KEY CHECK (tenant = ''), size INTEGER NOT NULL, frontier BLOB NOT NULL) STRICT""",
    "INSERT INTO ledger_head VALUES ('', 0, x'')",
    """CREATE TRIGGER ledger_head_grows BEFORE UPDATE ON ledger_head WHEN NEW.size < OLD.size
        BEGIN SELECT RAISE(ABORT, 'ledger head: it only grows'); END""",
    """CREATE TRIGGER ledger_head_is_one BEFORE INSERT ON ledger_head
        WHEN EXISTS (SELECT 1 FROM ledger_head)
        BEGIN SELECT RAISE(ABORT, 'ledger head: there is one'); END""",
    """CREATE TRIGGER ledger_head_stays BEFORE DELETE ON ledger_head
        BEGIN SELECT RAISE(ABORT, 'ledger head: it is never deleted'); END""",
)

_ROLES = (
    # Who wrote a document, by what it is called: other bytes of the same version are still theirs.
    """CREATE TABLE author (
        tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        administrator TEXT NOT NULL, PRIMARY KEY (tenant, kind, name, version, administrator))""",
    # login: "token", "key" or "oidc". key: thumbprint of the key of a "key".
    "ALTER TABLE administrator ADD COLUMN login TEXT NOT NULL DEFAULT 'token'",
    "ALTER TABLE administrator ADD COLUMN key TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE administrator ADD COLUMN jwk TEXT NOT NULL DEFAULT ''",
    "CREATE UNIQUE INDEX administrator_by_key ON administrator (key) WHERE key <> ''",
)

_KEY_IDS = (
    # Names of keys, never keys: replicas with different folders would open each other's secrets not at all.
    """CREATE TABLE key_id (
        tenant TEXT NOT NULL CHECK (tenant = ''),
        kind TEXT NOT NULL CHECK (kind IN ('signing', 'kek', 'nonce')), id TEXT NOT NULL,
        noted INTEGER NOT NULL, PRIMARY KEY (tenant, kind, id)) STRICT, WITHOUT ROWID""",
    *_fixed("key_id", "key id", guard_insert="NEW.id = ''"),
)

MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        "initial",
        (
            *_STORE,
            *_NONCES,
            *_SECRETS,
            *_DOCUMENTS,
            *_COLLATERAL,
            *_APPRAISALS,
            *_LEDGER,
            *_ADMINISTRATORS,
        ),
    ),
    Migration(2, "retention", _RETENTION),
    Migration(3, "collateral engine", _ENGINE, data=_CARRIED_OVER),
    Migration(4, "replay", _REPLAY),
    Migration(5, "approvals", _APPROVALS),
    Migration(6, "proposals", _PROPOSALS),
    Migration(7, "shadows", _SHADOWS),
    Migration(8, "merkle ledger", _TREE, rebuild, ("DROP TABLE ledger",)),
    Migration(9, "roles", _ROLES),
    Migration(10, "key ids", _KEY_IDS),
)

_VERSION_TABLE = """CREATE TABLE IF NOT EXISTS schema_version (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, applied INTEGER NOT NULL) STRICT"""


def migrate(
    connection: Connection,
    applied: int,
    migrations: Sequence[Migration] = MIGRATIONS,
    *,
    postgres: bool = False,
) -> int:
    """Bring the schema up to date; how many steps were taken. Inside the caller's transaction.

    applied: now, in microseconds. Raises GatewayError: STORE_SCHEMA_NEWER when the store has a step that
    this version does not know, STORE_SCHEMA_CHANGED when a step differs from ours.
    """
    for statement in postgres_schema.spoken(_VERSION_TABLE) if postgres else (_VERSION_TABLE,):
        connection.execute(statement)
    done = connection.execute("SELECT number, name, digest FROM schema_version ORDER BY number").fetchall()
    if len(done) > len(migrations):
        raise GatewayError(
            GatewayReason.STORE_SCHEMA_NEWER,
            "the store was made by a newer sealgate; run that one",
            where="schema_version",
            expected=f"at most {migrations[-1].number}",
            found=done[-1][0],
        )
    for row, known in zip(done, migrations, strict=False):
        digest = known.digest(postgres=postgres)
        if tuple(row) != (known.number, known.name, digest):
            raise GatewayError(
                GatewayReason.STORE_SCHEMA_CHANGED,
                "the store was made by another build of sealgate, whose schema differs",
                where=f"schema_version {known.number}",
                expected=f"{known.name} {digest[:16]}",
                found=f"{row[1]} {row[2][:16]}",
            )
    for step in migrations[len(done) :]:
        for statement in step.said(postgres=postgres):
            connection.execute(statement)
        if step.fill is not None:
            step.fill(connection, applied)
        for statement in step.said_after(postgres=postgres):
            connection.execute(statement)
        row = (step.number, step.name, step.digest(postgres=postgres), applied)
        connection.execute("INSERT INTO schema_version VALUES (?, ?, ?, ?)", row)
    return len(migrations) - len(done)
