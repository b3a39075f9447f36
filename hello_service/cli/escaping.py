"""Text that cannot drive a terminal."""


def escaped(text: bytes | str) -> str:
    """Write out all but line ends that a terminal would act on, or that nobody would see.

    Controls, marks that turn the direction and characters without width become C{\\x1b},
    C{\\u202e} and the like; CR LF becomes LF.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    return "".join(
        character if character.isprintable() or character == "\n" else _escape(character)
        for character in text.replace("\r\n", "\n")
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
