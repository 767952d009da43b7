"""Notes have one spelling; a text counts only under the keys that the caller named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger import note
from gateway.ledger.note import COSIGNATURE, ED25519, MAX_SIGNATURES, Note, Signature, VerifierKey
from tests.unit.gateway.ledger.keys import LOG, ORIGIN, WITNESS, Signer, signed

PUBLISHED_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
PUBLISHED = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72"
    "IneyaQM=\n"
)
"""The example of c2sp.org/signed-note."""


def refused(raw: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        note.parse(raw)
    assert caught.value.reason is GatewayReason.LEDGER_MALFORMED
    return caught.value


def test_the_published_note_is_signed_by_the_published_key() -> None:
    key, found = note.parse_key(PUBLISHED_KEY), note.parse(PUBLISHED.encode())
    assert key.text == PUBLISHED_KEY
    assert found.text == "This is an example message.\n"
    assert [each.name for each, _ in note.verified(found, [key])] == ["example.com/foo"]
    assert found.encode() == PUBLISHED


def test_keys_and_signatures_are_the_known_ones() -> None:
    assert LOG.key.text == "audit.example/release+c892a6d8+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert WITNESS.key.text == "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
    text = "audit.example/release\n7\n3bib5AOAnjJXUNPSY814kpwpQreUKjS3fhIslZSnTIw=\n"
    made = note.sign(text, ORIGIN, LOG.public, LOG.sign)
    assert made.encode().endswith(
        "\n— audit.example/release yJKm2HmLZCODgqEDfAZqFfQNGYjx+JyFwwS9cuP9tw2zgt2DwM8+jMoVdGueo4VOFbLw+/LEN"
        "UXJVU3tIHSj7g0vEw4=\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a+b", "a+b+c", PUBLISHED_KEY[:-1], PUBLISHED_KEY + "=", PUBLISHED_KEY + "\n",
        PUBLISHED_KEY.replace("530d903a", "530d903b"), PUBLISHED_KEY.replace("530d903a", "530D903A"),
        PUBLISHED_KEY.replace("foo", "fox"), PUBLISHED_KEY.replace("example.com/foo", ""),
        PUBLISHED_KEY.replace("com/", "com "), "a" * 5000,
        VerifierKey("x", 2, bytes(32)).text, VerifierKey("x", ED25519, bytes(31)).text,
    ],
)  # fmt: skip
def test_another_text_is_no_key(text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        note.parse_key(text)
    assert caught.value.reason is GatewayReason.LEDGER_KEY


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(PUBLISHED.encode()[:-1], id="no-last-newline"),
        pytest.param(PUBLISHED.encode() + b"\n", id="empty-line-behind"),
        pytest.param(PUBLISHED.replace("\n\n", "\n").encode(), id="no-empty-line"),
        pytest.param(PUBLISHED.replace("— ", "- ").encode(), id="hyphen"),
        pytest.param(PUBLISHED.replace("— ", "—").encode(), id="no-space"),
        pytest.param(PUBLISHED.replace("foo ", "foo  ").encode(), id="two-spaces"),
        pytest.param(PUBLISHED.replace("example.com/foo", "a+b").encode(), id="plus-in-name"),
        pytest.param(PUBLISHED.replace("com/foo", "com/\u00a0foo").encode(), id="unicode-space-in-name"),
        pytest.param(PUBLISHED.replace("QM=", "QN=").encode(), id="spare-bits"),
        pytest.param(PUBLISHED.replace("QM=", "QM").encode(), id="no-padding"),
        pytest.param(PUBLISHED.replace("an", "a\tn").encode(), id="tab"),
        pytest.param(PUBLISHED.replace("an", "a\0n").encode(), id="nul"),
        pytest.param(PUBLISHED.replace("\n", "\r\n").encode(), id="carriage-returns"),
        pytest.param(b"\xff" + PUBLISHED.encode(), id="no-utf-8"),
        pytest.param("x\n\n— a AAAA\n".encode(), id="key-id-short"),
        pytest.param("x\n\n— a AAAAAA==\n".encode(), id="no-signature-behind-the-id"),
        pytest.param(b"x\n\n", id="no-signatures"),
        pytest.param(b"x" * 70_000 + b"\n\n" + PUBLISHED.encode(), id="too-long"),
    ],
)
def test_another_form_is_no_note(raw: bytes) -> None:
    refused(raw)


def test_the_last_empty_line_parts_text_and_signatures() -> None:
    made = note.sign("one\n\ntwo\n\n\nthree\n", ORIGIN, LOG.public, LOG.sign)
    assert note.parse(made.encode().encode()) == made
    assert note.verified(made, [LOG.key])


@pytest.mark.parametrize(("count", "good"), [(16, True), (MAX_SIGNATURES, True), (MAX_SIGNATURES + 1, False)])
def test_a_note_has_a_bounded_number_of_signatures(count: int, good: bool) -> None:
    own = signed()
    others = tuple(Signature(f"other{n}", b"1234", b"x") for n in range(count - 1))
    raw = Note(own.text, (*others, *own.signatures)).encode().encode()
    if good:
        assert note.verified(note.parse(raw), [LOG.key])[0][0] == LOG.key
    else:
        assert refused(raw).found == str(count)


def test_what_unknown_keys_say_is_ignored() -> None:
    own = signed()
    same_name = Signature(ORIGIN, b"1234", b"x" * 64)
    same_id = Signature("other", LOG.key.key_id, b"x" * 64)
    mixed = Note(own.text, (same_name, same_id, *own.signatures))
    assert len(note.verified(mixed, [LOG.key])) == 1


def test_a_known_key_whose_signature_does_not_hold_spoils_the_note() -> None:
    own = signed()
    forged = Signature(ORIGIN, LOG.key.key_id, bytes(64))
    for signatures in ((forged, *own.signatures), (*own.signatures, forged), (forged,)):
        with pytest.raises(GatewayError) as caught:
            note.verified(Note(own.text, signatures), [LOG.key])
        assert caught.value.reason is GatewayReason.LEDGER_SIGNATURE


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    for keys in ([], [Signer(5, ORIGIN).key], [Signer(0, "other").key]):
        with pytest.raises(GatewayError) as caught:
            note.verified(signed(), keys)
        assert caught.value.reason is GatewayReason.LEDGER_SIGNATURE


def test_a_signature_of_one_type_is_none_of_the_other() -> None:
    """The same key under the same name, once as a log and once as a witness."""
    both = Signer(0, ORIGIN, COSIGNATURE)
    own = signed()
    assert both.key.key_id != LOG.key.key_id
    moved = Note(own.text, (Signature(ORIGIN, both.key.key_id, bytes(8) + own.signatures[0].raw),))
    with pytest.raises(GatewayError):
        note.verified(moved, [both.key])


@given(st.integers(0, 10_000))
def test_every_changed_byte_shows(at: int) -> None:
    raw = bytearray(signed(at=1_790_000_000).encode().encode())
    raw[at % len(raw)] ^= 1
    try:
        found = note.parse(bytes(raw))
        names = [key.name for key, _ in note.verified(found, [LOG.key, WITNESS.key])]
    except GatewayError:
        return
    assert len(names) == 1, "a changed name or key id is an unknown key's; nothing else may be let through"
    assert found.text == signed().text


@given(st.text(max_size=40), st.text(max_size=20))
def test_what_can_be_signed_can_be_read(text: str, name: str) -> None:
    try:
        made = note.sign(text, name, LOG.public, LOG.sign)
        raw = made.encode().encode()
    except ValueError:
        return
    try:
        assert note.parse(raw) == made
    except GatewayError as error:
        assert error.expected == "no control characters but newlines"
