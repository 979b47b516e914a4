"""What an export holds, to look at, to calculate with, and for programs. Pure."""

from service.index.metadata import write_metadata
from service.index.page import write_index_page
from service.index.table import write_index_table

__all__ = ["write_index_page", "write_index_table", "write_metadata"]
