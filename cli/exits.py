"""What the exit codes say."""

COMPLETE = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
"""Something is left out, or everything."""
INTERRUPTED = 130
"""As a shell reports a program that Ctrl-C ended."""
