"""What tests of storages share: places of every kind, and the file systems that some of them are on."""

from collections.abc import Iterator

import pytest

from service.storage.port import Storage
from tests.storage.file_systems import FileSystems, mounts
from tests.storage.places import STORAGES, Place


@pytest.fixture(scope="session")
def file_systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystems]:
    with mounts(tmp_path_factory.mktemp("file_systems")) as found:
        yield found


@pytest.fixture(params=STORAGES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with STORAGES[request.param](request) as place:
        yield place


@pytest.fixture
def storage(place: Place) -> Storage:
    return place.open()
