"""Runs one command and says what it cost: `python -I -S stopwatch.py DESCRIPTOR COMMAND…`.

Wall seconds, CPU seconds and peak memory in bytes are written to the descriptor. Stands alone and imports next to
nothing: Linux counts what a process was before its exec into its peak memory, so whoever starts it must be small.
"""

import os
import sys
import time


def main() -> int:
    descriptor, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(descriptor, False)
    began = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)  # with what its own children used, if it waited for them
    seconds = time.monotonic() - began
    os.write(descriptor, f"{seconds} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss * 1024}".encode())
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
