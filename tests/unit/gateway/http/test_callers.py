"""What a signed request names is read in one way only."""

from __future__ import annotations

import pytest

from gateway.errors import GatewayError
from gateway.http import callers


def environ(path: bytes, query: str = "") -> dict[str, str]:
    """As WSGI gives it: the path unquoted, its bytes as Latin-1."""
    return {"PATH_INFO": path.decode("latin-1"), "QUERY_STRING": query}


def test_path_and_query() -> None:
    assert callers._target(environ("/v1/admin/ä".encode())) == "/v1/admin/ä"
    assert callers._target(environ(b"/v1/admin/secrets/a", "expect=present")) == (
        "/v1/admin/secrets/a?expect=present"
    )


@pytest.mark.parametrize(
    ("path", "query"), [(b"/v1/admin/secrets/a?expect=present", ""), (b"/a?b", "c"), (b"/v1/\xff", "")]
)
def test_a_path_that_could_be_read_in_two_ways(path: bytes, query: str) -> None:
    with pytest.raises(GatewayError) as caught:
        callers._target(environ(path, query))
    assert caught.value.reason == "request.unauthenticated"
