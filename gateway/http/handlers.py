"""One function per route: from a call to a reply. What is decided is decided in `pipeline.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from gateway import VERSION, pipeline
from gateway.administration import Office
from gateway.collateral import metrics as collateral_metrics
from gateway.collateral.desk import Desk
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.forecast import gauges as forecast_gauges
from gateway.forecast.fleet import Forecaster
from gateway.http.message import TEXT, Call, Reply, json_reply
from gateway.http.metrics import Gauge, Metrics
from gateway.oidc.login import Provider
from gateway.pipeline import Gateway
from gateway.ports import DEFAULT_TENANT, AdministratorStore, Gauges, LedgerUnavailable
from gateway.replay.archive import Archive
from gateway.secrets import Vault
from policies.errors import PolicyError


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What handlers work with; `app.py` puts it together."""

    config: Config
    gateway: Gateway
    office: Office
    desk: Desk
    vault: Vault
    archive: Archive
    forecaster: Forecaster
    gauges: Gauges
    administrators: AdministratorStore
    provider: Provider | None = None
    metrics: Metrics
    openapi: bytes

    @property
    def mode(self) -> str:
        return "development" if self.gateway.development else "production"


# --- guests and relying parties ------------------------------------------------------------------------


def challenge(site: Site, call: Call) -> Reply:
    return json_reply(pipeline.challenge(site.gateway, call.tenant, call.body))


def attest(site: Site, call: Call) -> Reply:
    return json_reply(pipeline.attest(site.gateway, call.tenant, call.body, call.peer))


def release(site: Site, call: Call) -> Reply:
    return json_reply(pipeline.release(site.gateway, call.tenant, call.body, call.peer))


def verify(site: Site, call: Call) -> Reply:
    return json_reply(pipeline.verify(site.gateway, call.tenant, call.body, call.peer))


# --- discovery -----------------------------------------------------------------------------------------


def jwks(site: Site, call: Call) -> Reply:
    return json_reply(dict(site.gateway.keys.jwks()), headers={"Cache-Control": "public, max-age=300"})


def openid_configuration(site: Site, call: Call) -> Reply:
    issuer = site.gateway.issuer
    value = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    return json_reply(value, headers={"Cache-Control": "public, max-age=300"})


def openapi(site: Site, call: Call) -> Reply:
    return Reply(status=200, body=site.openapi)


def checkpoint(site: Site, call: Call) -> Reply:
    """Index and head of the ledger: whoever keeps one can show later that nothing before it was changed."""
    head = site.office.ledger.head()
    return json_reply(
        {"index": None, "head": None} if head is None else {"index": head.index, "head": head.head}
    )


# --- health --------------------------------------------------------------------------------------------


def healthz(site: Site, call: Call) -> Reply:
    """The process answers. Looks at nothing else, so that a slow disk does not get it killed."""
    return json_reply({"status": "ok", "version": VERSION, "mode": site.mode})


def readyz(site: Site, call: Call) -> Reply:
    """Could a release be decided and recorded now?"""
    checks: dict[str, Callable[[], object]] = {
        "store": site.office.documents.epoch,
        "keys": lambda: site.gateway.keys.jwks()["keys"][0],
        "ledger": site.office.ledger.head,
        "policies": lambda: site.gateway.appraiser.book.of(DEFAULT_TENANT),
    }
    found: dict[str, str] = {}
    for name, check in checks.items():
        try:
            check()
            found[name] = "ok"
        except (GatewayError, PolicyError, LedgerUnavailable, LookupError) as error:
            found[name] = str(getattr(error, "reason", type(error).__name__))
    ready = all(value == "ok" for value in found.values())
    value = {"ready": ready, "mode": site.mode, "checks": found, "containment": _containment(site)}
    return json_reply(value, 200 if ready else 503)


def _containment(site: Site) -> dict[str, str]:
    """What holds the readers of evidence, as the last one that was started said of itself."""
    return {"mode": site.config.containment_mode, **site.gateway.appraiser.reader.status()}


def metrics(site: Site, call: Call) -> Reply:
    gauges = {"sealgate_development_mode": float(site.gateway.development)}
    text = site.metrics.text(gauges, _expiries(site))
    text += collateral_metrics.text(site.desk.view, site.gateway.clock.now())
    text += forecast_gauges.text(site.gauges)
    return Reply(status=200, body=text.encode(), media_type=f"{TEXT}; version=0.0.4")


def _expiries(site: Site) -> list[Gauge]:
    """How long the active reference sets still hold; below zero once they ended. None when the store is away:
    the rest of the scrape says so. Whoever scrapes needs no credential, so tenants and sets are not named."""
    try:
        found = site.office.endings.first(site.office.documents, site.office.sources)
    except GatewayError:
        return []
    now = site.office.clock.now()
    series = [
        ((("set", _series(each.tenant, each.name)),), (each.valid_until - now).total_seconds())
        for each in found
    ]
    help_text = "Seconds until a reference set ends, for those that end first."
    return [Gauge("sealgate_reference_expires_seconds", help_text, series)] if series else []


def _series(tenant: str, name: str) -> str:
    return hashlib.sha256(f"{tenant}/{name}".encode()).hexdigest()[:12]


# --- shared --------------------------------------------------------------------------------------------


def limit_of(call: Call, default: int, most: int) -> int:
    """?limit=N, clipped."""
    text = call.query.get("limit", "")
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 7 else default
