"""All tests, in two runs of pytest side by side: `python -m tests.tools.side_by_side [OPTION…]`.

What only computes and writes files needs a processor; what speaks to brokers, browsers and processes mostly waits. On
two processors both together take little longer than the one that waits.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

PYTEST = str(Path(sys.executable).with_name("pytest"))
COMPUTE = [f"tests/{name}" for name in ("contracts", "core", "engine", "storage", "zip")]
OF_THE_SERVICE = ["service", "contracts"]
OF_OTHERS = ["gateway", "cli", "demo", "tests", *(f"--ignore={directory}" for directory in COMPUTE)]


def main(options: list[str]) -> int:
    """Exit code 0 when both were content. What the second run says is shown as it comes, the first one's afterwards."""
    command = [PYTEST, *options, "--doctest-modules"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen([*command, *OF_THE_SERVICE, *COMPUTE], stdout=said, stderr=said) as computing:
            waiting = subprocess.run([*command, *OF_OTHERS], check=False).returncode
        said.seek(0)
        print(said.read().decode(errors="replace"), flush=True)
    return waiting or computing.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
