"""What the documentation shows is so: its commands print what it says, its programs run, its JSON is JSON."""

import sys
from pathlib import Path

import pytest

from tests.house.repository import ROOT
from tests.house.shown import NOT_RUN, blocks, faults

PAGES = [page for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))] if page.is_file()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """An empty directory that is as good as a checkout to `make demo` and `.venv/bin/…`."""
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.name == "README.md" or blocks(page.read_text())])
def test_what_a_page_shows_is_so(page: Path, checkout: Path) -> None:
    found = faults(page.read_text(), checkout)
    assert not found, "\n\n".join([page.name, *found])


PAGE = """
```console
$ echo "3 files, 12.5 MB" >report.txt
$ git clone somewhere && cd export-service
$ cat report.txt; echo and more
941 files, 2.7 MB
…
$ size=7
$ echo $size and $(cat report.txt | wc -l)
1 … 5
$ false
$ echo $?
1
```

1. In a list:

   ~~~sh
   $ python -c 'raise SystemExit(3)'
   ~~~

```python
assert open("report.txt").read().startswith("3 files")
```

```json
{"folder": "export_demo"}
```

```python sketch
async def run(plan) -> Outcome: …
```
"""


def test_a_page_that_is_right_has_no_faults(checkout: Path) -> None:
    assert faults(PAGE, checkout) == []


def test_blocks_that_are_there_to_be_read_are_not_tried() -> None:
    assert [block.language for block in blocks(PAGE)] == ["console", "sh", "python", "json"]


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ("```console\n$ echo one\ntwo\n```", "line 1: $ echo one\ndoes not print “two” but:\none\n"),
        (
            "```console\n$ echo some; exit 4\n$ echo more\n```",
            "line 1: $ echo some; exit 4\nends with 4 and says:\nsome\n",
        ),
        ("```sh\n$ no-such-command\n```", "line 1: $ no-such-command\nends with 127 and says:\n"),
        ("```sh\n$ export-service-no-such\n$ echo done\n```", "line 1: $ export-service-no-such\nends with 127"),
        ("```python\nraise SystemExit('no')\n```", "line 1: the program ends with 1 and says:\nno\n"),
        ("\n```json\n{'folder': 1}\n```", "line 2: this is no JSON: Expecting property name"),
    ],
)
def test_a_page_that_is_wrong_is_told_where_and_how(checkout: Path, wrong: str, fault: str) -> None:
    assert faults(wrong, checkout)[0].startswith(fault)


@pytest.mark.parametrize("command", ["make test", "make setup demo", "git clone x", "A=1 docker run x", "uv sync"])
def test_what_calls_tests_or_asks_the_network_is_not_run(command: str) -> None:
    assert NOT_RUN.match(command)


@pytest.mark.parametrize("command", ["make demo", "make", "export-service run a.json", "unzip -t a.zip"])
def test_what_works_offline_is_run(command: str) -> None:
    assert not NOT_RUN.match(command)


def test_make_finds_its_targets_in_the_readers_directory(checkout: Path) -> None:
    assert faults("```console\n$ make\nmake demo …\n```", checkout) == []
