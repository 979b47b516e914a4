"""Where Docker and Kubernetes put secrets: a file each, named like its variable in lower case."""

from pathlib import Path

_SECRETS = Path("/run/secrets")


def secrets_dir() -> Path | None:
    """For the settings; pydantic-settings warns of a directory that is not there."""
    return _SECRETS if _SECRETS.is_dir() else None
