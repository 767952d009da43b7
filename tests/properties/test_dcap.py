"""Properties of quotes and their verification over generated input."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.simulator.intel import SgxMachine, TdxMachine
from tests.vectors.tdx_vectors import Cache
from verifiers import registry
from verifiers.dcap import identity, levels, quote, tcbinfo
from verifiers.dcap.document import Status
from verifiers.dcap.levels import Platform, TdxTcb
from verifiers.errors import EndorsementFormatError, EvidenceFormatError
from verifiers.model import Outcome, ReportData, TeeKind, Verdict

DATA = bytes(range(64))
MACHINE = TdxMachine()
GOOD = (MACHINE.quote(DATA), TdxMachine(version=5).quote(DATA), SgxMachine().quote(DATA))
CACHE = Cache()
ENDORSEMENTS = {
    TeeKind.TDX: MACHINE.endorsements(cache=CACHE),
    TeeKind.SGX: SgxMachine().endorsements(cache=CACHE),
}
edits = st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=40)), max_size=4)


def edited(raw: bytes, changes: list[tuple[int, bytes]], size: int | None) -> bytes:
    out = bytearray(raw)
    for at, piece in changes:
        out[at % len(out) : at % len(out) + len(piece)] = piece
    return bytes(out[:size])


@given(raw=st.binary(max_size=2000))
@example(raw=b"\x04\x00\x02\x00\x81" + bytes(2000))
def test_parsing_raises_only_our_errors(raw: bytes) -> None:
    try:
        parsed = quote.parse(raw)
    except EvidenceFormatError as error:
        assert error.reason and error.expected and error.found
    else:
        assert quote.write(parsed) == parsed.raw


@given(base=st.sampled_from(GOOD), changes=edits, size=st.none() | st.integers(0, 6000))
@settings(max_examples=300)
def test_an_edited_quote_parses_back_or_not_at_all(
    base: bytes, changes: list[tuple[int, bytes]], size: int | None
) -> None:
    raw = edited(base, changes, size)
    try:
        parsed = quote.parse(raw)
    except EvidenceFormatError:
        return
    assert quote.write(parsed) == parsed.raw
    assert raw == parsed.raw + bytes(parsed.padding)


@given(base=st.sampled_from(GOOD), changes=edits)
@settings(max_examples=200, deadline=None)
def test_only_the_untouched_quote_is_accepted(base: bytes, changes: list[tuple[int, bytes]]) -> None:
    """Verification raises nothing, and what it accepts says exactly what was signed."""
    raw = edited(base, changes, None)
    try:
        parsed = quote.parse(raw)
    except EvidenceFormatError:
        return
    found = registry.verify(parsed, ENDORSEMENTS[parsed.kind], ReportData(DATA), MACHINE.at)
    if found.verdict is Verdict.ACCEPTED:
        assert parsed.signed == quote.parse(base).signed
    assert all(check.code for check in found.checks if check.outcome is not Outcome.PASSED)


@given(raw=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_documents_raise_only_our_errors(raw: bytes) -> None:
    for parse in (tcbinfo.parse, identity.parse):
        try:
            parse(raw, "document")
        except EndorsementFormatError as error:
            assert error.reason == "collateral.malformed"
        else:
            raise AssertionError("a random document was read")


svns = st.tuples(*[st.integers(0, 9)] * 3)


@given(
    sgx=st.lists(st.integers(0, 9), min_size=16, max_size=16),
    pce=st.integers(9, 13),
    svn=svns,
    svn2=st.none() | svns,
    qe_svn=st.integers(0, 9),
    raised=st.integers(0, 15),
)
def test_raising_a_component_never_makes_a_supported_platform_unsupported(
    sgx: list[int],
    pce: int,
    svn: tuple[int, int, int],
    svn2: tuple[int, int, int] | None,
    qe_svn: int,
    raised: int,
) -> None:
    """And NotSupported or Revoked always come with a reason, everything else never."""
    info, _ = tcbinfo.parse(MACHINE.good_collateral["tcb_info"], "TCB info")
    qe, _ = identity.parse(MACHINE.good_collateral["qe_identity"], "identity")
    tdx = TdxTcb(
        svn=bytes(svn).ljust(16, b"\0"),
        svn2=bytes(svn2).ljust(16, b"\0") if svn2 else None,
        mr_signer_seam=bytes(48),
        seam_attributes=bytes(8),
    )

    def evaluate(components: list[int]) -> levels.Evaluation:
        platform = Platform(components=tuple(components), pce_svn=pce, pce_id=bytes(2), fmspc=info.fmspc)
        return levels.evaluate(info, platform, tdx, qe.levels, qe_svn)

    before = evaluate(sgx)
    after = evaluate([value + (index == raised) for index, value in enumerate(sgx)])
    for found in (before, after):
        assert (found.reason is not None) is (found.status in (Status.NOT_SUPPORTED, Status.REVOKED))
        assert (found.short == ()) or found.status is not Status.UP_TO_DATE
    if before.sgx_level is not None:
        assert after.sgx_level is not None
        assert info.levels.index(after.sgx_level) <= info.levels.index(before.sgx_level)
