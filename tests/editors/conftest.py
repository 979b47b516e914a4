"""What the tests of timelines, and of the media in them, share."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.editors.media_matrix import make_all


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A file of every kind, by its name; made once for all tests that ask for it."""
    return make_all(tmp_path_factory.mktemp("matrix"))
