"""The server, the client and the fetcher of a well-known TCP tutorial, made real with Twisted."""

__version__ = "26.11.0"

ERRORS_PAGE = "docs/errors.md"
"""What explains the words that messages have, each under a heading of its own."""
