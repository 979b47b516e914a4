"""What an export holds beside its media, by name, and how much of it its archive holds. Pure."""

from collections.abc import Collection

from contracts import Archive, Caption, ExportOptions, Layout, Timeline
from service.model import Draft, Earlier

SCRIPT = "script.txt"
MANIFEST = "manifest.json"
INDEX_PAGE = "index.html"
INDEX_TABLE = "index.csv"
METADATA = "metadata.json"
CHAPTERS = "chapters.txt"

TIMELINE_NAMES: dict[Timeline, str] = {
    Timeline.OTIO: "timeline.otio",
    Timeline.FCPXML: "timeline.fcpxml",
    Timeline.PREMIERE: "timeline_premiere.xml",
    Timeline.MLT: "timeline.mlt",
}
CAPTION_NAMES: dict[Caption, str] = {Caption.SRT: "captions.srt", Caption.VTT: "captions.vtt"}

OTIOZ_CONTENT = "content.otio"
OTIOZ_VERSION = "version.txt"
OTIOZ_MEDIA = "media"
"""All media of a bundle lie in one directory; their names differ in their last word, if not before."""

ARCHIVE_ENDINGS: dict[Layout, str] = {Layout.FOLDER: ".zip", Layout.CHANGES: "_changes.zip", Layout.OTIOZ: ".otioz"}
"""What follows the folder's name in that of its archive."""

_NAMED_AT_MOST = 3


def text_names(options: ExportOptions) -> tuple[str, ...]:
    """Of every text but the manifest, which comes last and lists the others.

    >>> text_names(ExportOptions(timelines=(), captions=(Caption.SRT,)))
    ('script.txt', 'captions.srt', 'chapters.txt', 'index.html', 'index.csv', 'metadata.json')
    """
    timelines = [name for timeline, name in TIMELINE_NAMES.items() if timeline in options.timelines]
    captions = [name for caption, name in CAPTION_NAMES.items() if caption in options.captions]
    chapters = [CHAPTERS] if timelines or captions else []
    return (SCRIPT, *timelines, *captions, *chapters, INDEX_PAGE, INDEX_TABLE, METADATA)


def layout_of(draft: Draft, media: Collection[str]) -> tuple[Layout | None, str | None]:
    """Of the archive of a folder with these media, and a warning where it is not the one that was asked for.

    An archive of changes is unpacked over the earlier folder. What that one has under a name that there no longer is
    (a section got another title, a sentence was put in between) would stay, so then the archive holds everything.
    """
    match draft.options.archive:
        case Archive.NONE:
            return None, None
        case Archive.OTIOZ:
            return Layout.OTIOZ, None
        case Archive.ZIP:
            reason = None if draft.options.since is None else _why_not(draft, media)
            is_whole = draft.options.since is None or reason is not None
            return Layout.FOLDER if is_whole else Layout.CHANGES, reason


def _why_not(draft: Draft, media: Collection[str]) -> str | None:
    """Why the archive cannot hold the changes alone."""
    everything = f"the archive holds everything, not only what changed since {draft.options.since}"
    if not isinstance(draft.earlier, Earlier):
        return f"{everything}: {draft.earlier or 'what that export holds is not known here'}"
    names = {*media, *text_names(draft.options)}
    vanished = [name for name in draft.earlier.files if name not in names]
    if not vanished:
        return None
    shown = ", ".join(vanished[:_NAMED_AT_MOST])
    more = f" and {len(vanished) - _NAMED_AT_MOST:,} more" if len(vanished) > _NAMED_AT_MOST else ""
    return f"{everything}: there is no {shown}{more} any longer"


def otioz_place(name: str) -> str:
    """Where a media file of the folder is in a bundle.

    >>> otioz_place("audio/001_introduction_audio.wav")
    'media/001_introduction_audio.wav'
    """
    return f"{OTIOZ_MEDIA}/{name.rpartition('/')[2]}"
