"""Private keys of the simulator's roots, from keys.json beside this file. Public on purpose.

The public halves are pinned in verifiers/sevsnp/simulated_keys.py and verifiers/dcap/simulated_root.py, where
they count only under `AnchorSet.VENDOR_AND_SIMULATED`.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

PRODUCTS = ("Milan", "Genoa", "Turin")
ROLES = ("ARK", "ASK", "ASVK")


@functools.cache
def amd(product: str, role: str) -> rsa.RSAPrivateKey:
    """The RSA-4096 key of `role` (ARK, ASK or ASVK) for `product` (Milan, Genoa or Turin)."""
    return _rsa(_file()["amd"][product][role])


@functools.cache
def ppid_key() -> rsa.RSAPrivateKey:
    """The RSA-3072 key to whose public half the simulated PCE encrypts PPIDs, as Intel's does to PCS's."""
    return _rsa(_file()["intel"]["ppid_key"])


def _rsa(primes: dict[str, str]) -> rsa.RSAPrivateKey:
    p, q, e = int(primes["p"], 16), int(primes["q"], 16), 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(e, p * q),
    )
    # Checking the primes takes longer than all else here, and these do not change.
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


@functools.cache
def intel_root() -> ec.EllipticCurvePrivateKey:
    """The P-256 key of the Intel-shaped root."""
    return ec.derive_private_key(int(_file()["intel"]["root_key"], 16), ec.SECP256R1())


@functools.cache
def intel_root_certificate() -> bytes:
    """DER of the Intel-shaped root, whose SHA-256 is pinned; it is never minted again."""
    return bytes.fromhex(_file()["intel"]["root_certificate"])


@functools.cache
def _file() -> dict[str, Any]:
    raw = importlib.resources.files(__package__).joinpath("keys.json").read_bytes()
    loaded: dict[str, Any] = json.loads(raw)
    return loaded
