"""The closed lists of words a machine may branch on: why an asset is left out, why an export failed, when."""

from enum import StrEnum


class Reason(StrEnum):
    """Why an asset of the project is not among the exported files."""

    PENDING = "pending"
    """Not generated yet."""
    GENERATING = "generating"
    """Being generated when the export was asked for."""
    FAILED = "failed"
    """Its generation failed."""
    MISSING = "missing"
    """The project says it is finished, but there is no such file; looked for twice."""
    UNREADABLE = "unreadable"
    """The file is there but could not be read, or changed each time while it was copied."""
    STALE = "stale"
    """Made from an older version of the sentence, and `options.stale` is `skip`."""
    EXCLUDED = "excluded"
    """Left out by `options.include`."""
    IN_SECTION_AUDIO = "in_section_audio"
    """Its narration exists only inside the section's file, which could not be cut and was exported whole."""


class Stage(StrEnum):
    """What an export was doing."""

    ACCEPTING = "accepting"
    PLANNING = "planning"
    COPYING = "copying"
    PACKING = "packing"
    VERIFYING = "verifying"
    PUBLISHING = "publishing"


class ErrorCode(StrEnum):
    """Why an export ended without a result, or cannot go on where it is."""

    INVALID_MESSAGE = "invalid_message"
    """Not JSON, or a field is missing, of the wrong type, or out of range."""
    UNSUPPORTED_VERSION = "unsupported_version"
    """The message is of a newer contract version than this worker knows."""
    UNSUPPORTED_OPTION = "unsupported_option"
    """Given no more: every option is carried out. Exports that an earlier version refused for one still tell it."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """More sections, sentences or bytes than a named limit allows."""
    CONFLICT = "conflict"
    """The same `export_id` was asked for with another content."""
    PROJECT_UNAVAILABLE = "project_unavailable"
    """`project_ref` could not be read, or its SHA-256 differs."""
    REFERENCE_REFUSED = "reference_refused"
    """An asset's `uri` lies outside every configured root."""
    SOURCE_MISSING = "source_missing"
    """A finished asset has no file, and `options.on_missing` is `fail`."""
    SOURCE_UNREADABLE = "source_unreadable"
    """A finished asset could not be read, and `options.on_missing` is `fail`."""
    STORAGE_UNAVAILABLE = "storage_unavailable"
    """A root is not there, is not the one it was, or none of the project's files is in it."""
    NO_SPACE = "no_space"
    """The exports root has too little room."""
    IO_ERROR = "io_error"
    """Reading or writing the exports root failed."""
    CANCELLED = "cancelled"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    """No file was finished for a whole day."""
    POISON = "poison"
    """Worker after worker died at the same step."""
    INTERNAL = "internal"
    """A fault of the service itself."""
