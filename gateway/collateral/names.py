"""How people name a need: "amd/milan/crl", "intel/tdx/tcb-info/00806F050000"; there and back.

    amd/PRODUCT/crl              CRL of the ARK as served for VCEKs      PRODUCT: milan, genoa, turin
    amd/PRODUCT/crl/vlek         the same for VLEKs
    amd/PRODUCT/vcek/CHIP/TCB    TCB: boot loader.TEE.SNP.microcode, on Turin the FMC in front; PRODUCT may be
                                 "any", for a report that does not say its own
    intel/TEE/tcb-info/FMSPC     TEE: tdx, sgx
    intel/TEE/qe-identity
    intel/crl/CA                 CA: root, platform, processor
    intel/pck/PCEID/PCESVN/CPUSVN/PPID    PPID: encrypted

"amd/PRODUCT", "intel/TEE" and "intel/TEE/FMSPC" stand for what `[collateral] keep` calls "amd:Milan",
"intel:tdx", "intel:tdx:FMSPC". A name decides nothing about a URL: a vendor module matches every value again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from gateway.collateral.settings import needs_of
from verifiers.model import Need

MAX_NAME = 1024
PRODUCTS = ("Milan", "Genoa", "Turin")
TEES = ("tdx", "sgx")
_PRODUCT = f"(?P<product>{'|'.join(PRODUCTS)})"
_TEE = f"(?P<tee>{'|'.join(TEES)})"
_SPLS = ("blSPL", "teeSPL", "snpSPL", "ucodeSPL")
_CAS: Mapping[str, Need] = MappingProxyType(
    {
        "root": Need("intel.root-crl", ()),
        "platform": Need("intel.pck-crl", (("ca", "platform"),)),
        "processor": Need("intel.pck-crl", (("ca", "processor"),)),
    }
)


def _crl(found: Mapping[str, str]) -> tuple[Need, ...] | None:
    place = "vlek" if found["vlek"] else "vcek"
    return (Need("amd.crl", (("kind", place), ("product", found["product"].capitalize()))),)


def _vcek(found: Mapping[str, str]) -> tuple[Need, ...] | None:
    numbers = found["tcb"].split(".")
    product = found["product"].capitalize()
    names = ("fmcSPL", *_SPLS) if product == "Turin" else _SPLS
    if len(numbers) != len(names) or any(int(number) > 255 for number in numbers):
        return None
    pairs = dict(zip(names, numbers, strict=True), chip_id=found["chip"].lower())
    if product != "Any":
        pairs["product"] = product
    return (Need("amd.vcek", tuple(sorted(pairs.items()))),)


def _tcb_info(found: Mapping[str, str]) -> tuple[Need, ...] | None:
    return (Need("intel.tcb-info", (("fmspc", found["fmspc"].upper()), ("tee", found["tee"].lower()))),)


def _identity(found: Mapping[str, str]) -> tuple[Need, ...] | None:
    return (Need("intel.qe-identity", (("tee", found["tee"].lower()),)),)


def _pck(found: Mapping[str, str]) -> tuple[Need, ...] | None:
    return (Need("intel.pck", tuple(sorted((name, text.lower()) for name, text in found.items()))),)


def _group(found: Mapping[str, str]) -> tuple[Need, ...] | None:
    if found["product"]:
        return needs_of(f"amd:{found['product'].capitalize()}")
    tail = f":{found['fmspc']}" if found["fmspc"] else ""
    return needs_of(f"intel:{found['tee'].lower()}{tail}")


_FORMS: tuple[tuple[re.Pattern[str], Callable[[Mapping[str, str]], tuple[Need, ...] | None]], ...] = tuple(
    (re.compile(form, re.ASCII | re.IGNORECASE), reader)
    for form, reader in (
        (f"amd/{_PRODUCT}/crl(?P<vlek>/vlek)?", _crl),
        (
            f"amd/(?P<product>{'|'.join(PRODUCTS)}|any)/vcek/(?P<chip>[0-9a-f]{{16}}|[0-9a-f]{{128}})"
            r"/(?P<tcb>(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3,4})",
            _vcek,
        ),
        (f"intel/{_TEE}/tcb-info/(?P<fmspc>[0-9a-f]{{12}})", _tcb_info),
        (f"intel/{_TEE}/qe-identity", _identity),
        ("intel/crl/(?P<ca>root|platform|processor)", lambda found: (_CAS[found["ca"].lower()],)),
        (
            "intel/pck/(?P<pceid>[0-9a-f]{4})/(?P<pcesvn>[0-9a-f]{4})/(?P<cpusvn>[0-9a-f]{32})"
            "/(?P<encrypted_ppid>[0-9a-f]{512}|[0-9a-f]{768})",
            _pck,
        ),
        (f"amd/{_PRODUCT}|intel/{_TEE}(?:/(?P<fmspc>[0-9a-f]{{12}}))?", _group),
    )
)

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "amd/vcek": "amd.vcek",
        "amd/crl": "amd.crl",
        "intel/tcb-info": "intel.tcb-info",
        "intel/qe-identity": "intel.qe-identity",
        "intel/pck-crl": "intel.pck-crl",
        "intel/root-crl": "intel.root-crl",
        "intel/pck": "intel.pck",
    }
)
"""Names of kinds, for choosing among the needs of a piece of evidence."""

_EXAMPLES = (
    *(f"amd/{product.lower()}{tail}" for product in PRODUCTS for tail in ("", "/crl", "/crl/vlek")),
    *(f"amd/{product.lower()}/vcek/CHIP/TCB" for product in PRODUCTS),
    *(f"intel/{tee}{tail}" for tee in TEES for tail in ("", "/qe-identity", "/tcb-info/FMSPC")),
    *(f"intel/crl/{ca}" for ca in _CAS),
    "intel/pck/PCEID/PCESVN/CPUSVN/PPID",
)


def parse(text: str) -> tuple[Need, ...] | None:
    """The needs that a name stands for, one for most; None when it is no name."""
    if len(text) > MAX_NAME:
        return None
    for form, reader in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return reader(match.groupdict())
    return needs_of(text)


def spell(need: Need) -> str | None:
    """The name of one need, so that `parse` gives it back; None for what has none (a VLEK, which nobody
    serves)."""
    key = dict(need.key)
    text: str | None = None
    match need.kind:
        case "amd.crl":
            vlek = "/vlek" if key.get("kind") == "vlek" else ""
            text = f"amd/{key.get('product', '').lower()}/crl{vlek}"
        case "amd.vcek":
            tcb = ".".join(key[name] for name in ("fmcSPL", *_SPLS) if name in key)
            text = f"amd/{key.get('product', 'any').lower()}/vcek/{key.get('chip_id', '')}/{tcb}"
        case "intel.tcb-info":
            text = f"intel/{key.get('tee')}/tcb-info/{key.get('fmspc')}"
        case "intel.qe-identity":
            text = f"intel/{key.get('tee')}/qe-identity"
        case "intel.pck-crl" | "intel.root-crl":
            text = f"intel/crl/{key.get('ca', 'root')}"
        case "intel.pck":
            names = ("pceid", "pcesvn", "cpusvn", "encrypted_ppid")
            text = "intel/pck/" + "/".join(key.get(name, "") for name in names)
    return text if text is not None and parse(text) == (need,) else None


def near(text: str, kinds: bool = False) -> str:
    """What somebody who wrote `text` may have meant; kinds: where names of kinds are taken too."""
    known = (*_EXAMPLES, *KINDS) if kinds else _EXAMPLES
    found = difflib.get_close_matches(_general(text.lower()), [each.lower() for each in known], 2, 0.6)
    shown = [each for each in known if each.lower() in found]
    if shown:
        return f"did you mean {' or '.join(shown)}?"
    return "known: " + ", ".join(("amd/milan/crl", "intel/tdx/qe-identity", "intel/crl/root", "…"))


def _general(text: str) -> str:
    """With figures replaced by what they stand for, as the examples have it."""
    text = re.sub(r"/[0-9a-f]{12}(?=/|\Z)", "/fmspc", text[:MAX_NAME])
    text = re.sub(r"/[0-9a-f]{16,128}(?=/|\Z)", "/chip", text)
    return re.sub(r"/[0-9]+(\.[0-9]+)+(?=/|\Z)", "/tcb", text)
