"""What other services may rely on: the project model, the messages, the error codes. Needs pydantic only."""

from importlib import import_module
from typing import TYPE_CHECKING

from contracts.codes import ErrorCode, Reason, Stage

if TYPE_CHECKING:
    from contracts.messages import (
        MESSAGES,
        Archive,
        ArchiveSummary,
        Caption,
        Counts,
        Error,
        ExportCancel,
        ExportCancelled,
        ExportCompleted,
        ExportDelete,
        ExportFailed,
        ExportOptions,
        ExportProgress,
        ExportStart,
        FolderSummary,
        Include,
        Layout,
        OmittedAsset,
        Outcome,
        ProjectRef,
        Requester,
        State,
        Tally,
        Terminal,
        Timeline,
    )
    from contracts.project import (
        Asset,
        CompletedAsset,
        FailedAsset,
        Kind,
        PendingAsset,
        Project,
        Section,
        Sentence,
        Slice,
        WordTiming,
    )

__all__ = [
    "MESSAGES",
    "Archive",
    "ArchiveSummary",
    "Asset",
    "Caption",
    "CompletedAsset",
    "Counts",
    "Error",
    "ErrorCode",
    "ExportCancel",
    "ExportCancelled",
    "ExportCompleted",
    "ExportDelete",
    "ExportFailed",
    "ExportOptions",
    "ExportProgress",
    "ExportStart",
    "FailedAsset",
    "FolderSummary",
    "Include",
    "Kind",
    "Layout",
    "OmittedAsset",
    "Outcome",
    "PendingAsset",
    "Project",
    "ProjectRef",
    "Reason",
    "Requester",
    "Section",
    "Sentence",
    "Slice",
    "Stage",
    "State",
    "Tally",
    "Terminal",
    "Timeline",
    "WordTiming",
]


def __getattr__(name: str) -> object:
    """The models, when one is asked for: who needs the codes only does not wait for pydantic (0.1 s)."""
    for module in ("contracts.project", "contracts.messages"):
        found = vars(import_module(module)).get(name) if name in __all__ else None
        if found is not None:
            globals()[name] = found
            return found
    raise AttributeError(f"module 'contracts' has no attribute {name!r}")
