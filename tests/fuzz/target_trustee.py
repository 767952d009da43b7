"""Any bytes are Trustee's values or refused by one of our errors; any text is read as a policy."""

from __future__ import annotations

from policies import trustee_policy, trustee_values
from tests.fuzz.common import only_our_errors


def seeds() -> list[bytes]:
    return [
        b'{"snp_launch_measurement": ["' + b"ab" * 48 + b'"], "mr_td": 3}',
        b'[{"name": "a", "value": [1], "expiration": "2027-01-01T00:00:00Z"}]',
        b'hardware := 2 if {\n\tinput.tdx\n\tinput.tdx.tcb_status == "UpToDate"\n}\n',
    ]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: trustee_values.rows(trustee_values.read([("fuzz", raw)])), data)
    trustee_policy.report(trustee_policy.read([("fuzz", data.decode("utf-8", "replace"))], "set", {}))
