"""What file managers put into a folder that is only looked at: no part of an export, and no damage to one. Pure."""

# Of Windows, which does not tell a capital from a small letter; of the Finder; of KDE's Dolphin.
_NAMES = {"desktop.ini", "ehthumbs.db", "thumbs.db", ".ds_store", ".directory"}
# Where a disk cannot keep what the Finder knows of a file, that is put into a file beside it.
_FINDERS_TWIN = "._"


def is_litter(name: str) -> bool:
    """Whether a file of this name, beneath the folder, is there on no person's account.

    >>> is_litter("images/.DS_Store"), is_litter("audio/._001_intro_audio.wav"), is_litter("Thumbs.db")
    (True, True, True)
    >>> is_litter("images/notes.txt"), is_litter(".hidden")
    (False, False)
    """
    own = name.rpartition("/")[2]
    return own.startswith(_FINDERS_TWIN) or own.lower() in _NAMES
