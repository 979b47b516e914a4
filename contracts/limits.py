"""How much one export may ask for. Everything has a limit; each is named here, with its unit.

What goes beyond one is answered with its name, its value and what was found. What an operator may limit besides is a
setting (docs/settings.md).
"""

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Of a command with its project inline; RabbitMQ 4 takes 16 MiB, and above 256 KB a `project_ref` is the better way."""
MAX_PROJECT_BYTES = 128 * 1024 * 1024
"""Of a project behind a `project_ref`."""
MAX_SECTIONS = 10_000
MAX_SENTENCES = 100_000
"""In the whole project; with audio, image and video each, 300,000 assets."""
MAX_TITLE_CHARACTERS = 10_000
MAX_TEXT_CHARACTERS = 100_000
"""Of one sentence."""
MAX_WORD_CHARACTERS = 1000
"""In the timings of a narration."""
MAX_WORD_TIMINGS = 20_000
"""Per sentence."""
MAX_ERROR_CHARACTERS = 2000
"""Why an asset's generation failed."""
MAX_EXPORT_ID_CHARACTERS = 64
MAX_ID_CHARACTERS = 128
"""Of a project's, a section's or a sentence's id."""
MAX_REFERENCE_CHARACTERS = 2048
"""Of a `uri`; the path that it means is shorter still (1,024 bytes, 255 in each part), or there is no such file."""
MAX_ETAG_CHARACTERS = 256
MAX_LANGUAGE_CHARACTERS = 35
MAX_FRAME_RATE = 240
"""Frames per second."""
MAX_MILLISECONDS = 360_000_000
"""A hundred hours: of a duration, or of a place in a narration."""
MAX_RETAIN_SECONDS = 10 * 365 * 86_400
MAX_MEDIA_ROOT_CHARACTERS = 1024
MAX_TENANT_CHARACTERS = 128
MAX_SUBJECT_CHARACTERS = 256
MAX_REASON_CHARACTERS = 1000
"""Why an export is cancelled or deleted."""
MAX_CHOICES = 100
"""Per list of options; more than there are to choose from, so that a repeated one does no harm."""
MAX_OMISSIONS_IN_MESSAGE = 100
"""In terminal events; the manifest lists all of them."""
MAX_WARNINGS_IN_MESSAGE = 100
"""In terminal events, the last of which says how many more there are; the manifest lists all of them."""
