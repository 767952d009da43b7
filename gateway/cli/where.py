"""Where collateral can be had: the vendors' public addresses. Text for people; nothing is fetched here.

Sources: AMD 57230, chapter 4; Intel PCS API v4.
"""

from __future__ import annotations

from verifiers.model import Need

_KDS = "https://kdsintf.amd.com"
_PCS = "https://api.trustedservices.intel.com"
_SPL_ORDER = ("fmcSPL", "blSPL", "teeSPL", "snpSPL", "ucodeSPL")


def title(need: Need) -> str:
    """What is needed, in words."""
    key = dict(need.key)
    match need.kind:
        case "amd.vcek":
            chip = key.get("chip_id", "")
            tcb = ".".join(key[name] for name in _SPL_ORDER if name in key)
            return (
                f"VCEK for chip {_short(chip)} at TCB {tcb} (AMD limits this to about one request per 10 s)"
            )
        case "amd.vlek":
            return "VLEK certificate of the provider: it comes with the evidence, inside the guest"
        case "amd.crl":
            return f"AMD's CRL for {key.get('product', 'this product')} ({key.get('kind', 'vcek')})"
        case "intel.tcb-info":
            return f"{key.get('tee', '').upper()} TCB info for FMSPC {key.get('fmspc')}"
        case "intel.qe-identity":
            return f"{'TD QE' if key.get('tee') == 'tdx' else 'QE'} identity"
        case "intel.pck-crl":
            return f"CRL of the PCK {key.get('ca', '').capitalize()} CA"
        case "intel.root-crl":
            return "CRL of the Intel SGX Root CA"
        case "intel.pck":
            return "PCK certificate of this platform (needs an Intel subscription key, or your PCCS)"
    return str(need)


def address(need: Need) -> str | None:
    """The vendor's address for it, or None where there is no public one."""
    key = dict(need.key)
    match need.kind:
        case "amd.vcek" if "product" in key and "chip_id" in key:
            query = "&".join(f"{name}={int(key[name]):02d}" for name in _SPL_ORDER if name in key)
            return f"{_KDS}/vcek/v1/{key['product']}/{key['chip_id']}?{query}"
        case "amd.crl" if "product" in key:
            return f"{_KDS}/{key.get('kind', 'vcek')}/v1/{key['product']}/crl"
        case "intel.tcb-info":
            return f"{_PCS}/{key['tee']}/certification/v4/tcb?fmspc={key['fmspc']}"
        case "intel.qe-identity":
            return f"{_PCS}/{key['tee']}/certification/v4/qe/identity"
        case "intel.pck-crl":
            return f"{_PCS}/sgx/certification/v4/pckcrl?ca={key['ca']}&encoding=der"
        case "intel.root-crl":
            return "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
    return None


def _short(value: str) -> str:
    return value if len(value) <= 20 else f"{value[:8]}…{value[-5:]}"
