"""What any Twisted daemon could take along: nothing in this package knows of hello."""
