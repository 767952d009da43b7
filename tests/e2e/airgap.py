"""An air gap from end to end, run as a process of its own so that it can be put into a network namespace:

    [unshare --net] python -m tests.e2e.airgap FOLDER

Two gateways that are offline by configuration, one for simulated and one for real machines, get all that they
have from bundles. Prints what came of it as one JSON object. Every process under it is watched
(`watch/sitecustomize.py`).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from gateway.client import Refused
from gateway.collateral import bundle
from gateway.demo import recorded
from tests.e2e.support import PATH, SECRET, SNP, TDX, Server, documents, serving
from tests.support import ROOT
from verifiers.codec import b64

_IFF_UP, _GET, _SET = 0x1, 0x8913, 0x8914
OFFLINE = '[collateral]\noffline = true\nkeep = ["amd:Milan", "intel:tdx"]\n'


def raise_loopback() -> None:
    """Inside a new namespace nothing is up, not even that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(any_socket, _GET, asked))[1]
        if not flags & _IFF_UP:
            fcntl.ioctl(any_socket, _SET, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def interfaces() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def command(server: Server, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    environ = {**os.environ, "SEALGATE_GATEWAY": server.url, "SEALGATE_ADMIN_TOKEN": server.token}
    return subprocess.run(
        [sys.executable, "-m", "gateway", "collateral", *map(str, arguments), "--json"],
        cwd=ROOT, env=environ, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def parsed(server: Server, *arguments: object) -> Any:
    done = command(server, *arguments)
    if done.returncode not in (0, 1):
        raise AssertionError(done.stderr.decode())
    return json.loads(done.stdout)


def development(folder: Path) -> dict[str, Any]:
    """Simulated machines get their secret from a gateway that has nothing but a bundle."""
    file = folder / "development.sgc"
    with serving(folder / "exporter") as exporter:
        exporter.provide()
        raw = SNP.leaf
        exporter.admin.ask("POST", "/v1/admin/collateral", raw, "application/octet-stream")
        told = parsed(exporter, "export", file)
    config = folder / "development.toml"
    config.write_text(f'development = true\n{OFFLINE}bundle_keys = ["{told["signer"]}"]\n')
    with serving(folder / "importer", "--config", str(config)) as gateway:
        gateway.admin.ask("POST", "/v1/admin/policies", documents(), "application/yaml")
        gateway.admin.ask("PUT", f"/v1/admin/secrets/{PATH}", SECRET, "application/octet-stream")
        before = [_gets(gateway, machine) for machine in (SNP, TDX)]
        first, again = parsed(gateway, "import", file), parsed(gateway, "import", file)
        return {
            "before": before,
            "after": [_gets(gateway, machine) for machine in (SNP, TDX)],
            "imported": sorted({each["outcome"] for each in first}),
            "again": sorted({each["outcome"] for each in again}),
            "offline": parsed(gateway, "status")["offline"],
            "fetch": command(gateway, "fetch", "amd/milan/crl").returncode,
        }


def production(folder: Path) -> dict[str, Any] | None:
    """A recorded report of a real machine is authentic for a gateway that has its VCEK from a bundle."""
    found = next(iter(recorded.recordings()), None)
    if found is None:
        return None
    file, config = folder / "production.sgc", folder / "production.toml"
    config.write_text(OFFLINE)
    evidence = {"evidence": {"type": "sev-snp", "report": b64.encode_url(found.evidence), "certificates": []}}
    with serving(folder / "vendor", "--config", str(config), development=False) as exporter:
        for raw in found.collateral:
            exporter.admin.ask("POST", "/v1/admin/collateral", raw, "application/octet-stream")
        told = parsed(exporter, "export", file)
    with serving(folder / "gap", "--config", str(config), development=False) as gateway:
        before = gateway.anonymous.post("/v1/verify", evidence)
        refused = command(gateway, "import", file)
        made = parsed(gateway, "import", file, "--trust", told["signer"])
        simulated = command(gateway, "import", folder / "development.sgc", "--trust", _signer(folder))
        after = gateway.anonymous.post("/v1/verify", evidence)
        return {
            "before": before["authentic"],
            "after": after["authentic"],
            "untrusted": json.loads(refused.stdout)["reason"],
            "imported": sorted({each["outcome"] for each in made}),
            "simulated": sorted({each["outcome"] for each in json.loads(simulated.stdout)}),
        }


def _signer(folder: Path) -> str:
    with (folder / "development.sgc").open("rb") as file:
        return bundle.read_head(file).signer


def _gets(gateway: Server, machine: Any) -> bool:
    try:
        return gateway.guest(machine).get([PATH])[PATH].secret == SECRET
    except Refused:
        return False


def main(folder: Path) -> None:
    raise_loopback()
    value = {"interfaces": interfaces(), "development": development(folder), "production": production(folder)}
    print(json.dumps(value))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
