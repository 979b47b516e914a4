"""The two ways an export stops: a verdict, true on every worker, or trouble, which is this worker's own. Pure."""

from contracts import ErrorCode


class ExportError(Exception):
    """An end of an attempt that has a code and one sentence for a person."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Verdict(ExportError):
    """The export cannot succeed anywhere: decided `failed` (or `cancelled`), once and for good."""


class Trouble(ExportError):
    """This machine cannot go on now (no space, an I/O error, a mount gone): never decided, tried again."""


class Conflict(ExportError):
    """The `export_id` belongs to another content. Nothing is decided in its name."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.CONFLICT, detail)


class Interrupted(Exception):
    """The work was told to stop (Ctrl-C, SIGTERM); everything finished so far is kept."""
