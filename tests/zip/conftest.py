"""Java, for whoever tests with it."""

import shutil
from pathlib import Path

import pytest

from tests.zip.readers import Java, run


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Java:
    """Compiled once: `java Reader.java` would do it each time, for a second of it."""
    if shutil.which("javac") is None:
        pytest.skip(
            "no JDK (javac), so nobody looked how Java reads our archives: apt-get install default-jdk-headless"
        )
    classes = tmp_path_factory.mktemp("java")
    run("javac", "-J-XX:-UsePerfData", "-d", classes, Path(__file__).with_name("Reader.java"))
    return Java(classes)
