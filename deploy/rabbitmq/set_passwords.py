"""Puts the users' passwords into definitions, as salted hashes: `set_passwords.py DEFINITIONS SECRETS TARGET`.

SECRETS is a directory with one file for each user, named like the user. Nobody can log in as a user without one.
Needs Python only. Writes TARGET at once or not at all.
"""

import base64
import hashlib
import json
import secrets
import sys
from pathlib import Path
from typing import Any


def main(definitions: Path, passwords: Path, target: Path) -> None:
    document = json.loads(definitions.read_text())
    for user in document["users"]:
        set_password(user, passwords / user["name"])
    written = target.with_suffix(".new")
    written.write_text(json.dumps(document, indent=2) + "\n")
    written.replace(target)


def set_password(user: dict[str, Any], file: Path) -> None:
    """Leaves the user as it is when there is no file; an empty one is a mistake, and no password."""
    if not file.exists():
        return
    password = file.read_text().strip()
    if not password:
        raise SystemExit(f"{file} is empty: a password was expected")
    user["password_hash"] = hash_of(password, secrets.token_bytes(4))


def hash_of(password: str, salt: bytes) -> str:
    """As `rabbit_password_hashing_sha256` has it: rabbitmq.com/docs/passwords, "Computing a Password Hash"."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
