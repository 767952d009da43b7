"""The configuration on the page is one that loads, names every key, and shows the defaults."""

from __future__ import annotations

import dataclasses
import re

from gateway import config
from tests.support import ROOT


def test_the_documented_configuration_loads_and_is_complete() -> None:
    page = (ROOT / "gateway" / "README.md").read_text()
    found = re.search(r"```toml\n(.*?)```", page, re.S)
    assert found is not None
    text = found.group(1)
    loaded = config.parse(text.encode(), "README.md")
    assert loaded.listen == config.Listen()
    assert loaded.limits == config.Limits()
    for part in (config.Config, config.Listen, config.Tls, config.Limits):
        for field in dataclasses.fields(part):
            assert re.search(rf"\b{field.name}\b", text), field.name
