"""How much one export may ask for. Everything has a limit; each is named here, with its unit."""

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Of a command with its project inline; RabbitMQ 4 takes 16 MiB, and above 256 KB a `project_ref` is the better way."""
MAX_PROJECT_BYTES = 128 * 1024 * 1024
"""Of a project behind a `project_ref`."""
MAX_SECTIONS = 10_000
MAX_SENTENCES = 100_000
"""In the whole project; with audio, image and video each, 300,000 assets."""
MAX_TITLE_CHARACTERS = 10_000
MAX_TEXT_CHARACTERS = 100_000
MAX_WORD_TIMINGS = 20_000
"""Per sentence."""
MAX_CHOICES = 100
"""Per list of options; more than there are to choose from, so that a repeated one does no harm."""
MAX_OMISSIONS_IN_MESSAGE = 100
"""In terminal events; the manifest lists all of them."""
MAX_WARNINGS_IN_MESSAGE = 100
