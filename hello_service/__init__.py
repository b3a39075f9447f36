"""The server, the client and the fetcher of a well-known TCP tutorial, made real with Twisted."""

__version__ = "26.11.0"
