"""Where a redirect leads, or why it is not followed."""

import re
from collections.abc import Sequence
from urllib.parse import quote, urljoin

from hello_service.cli.escaping import escaped
from hello_service.fetch.request import PRINTABLE, InvalidRequest, parse_url

REDIRECT_LIMIT = 20
"""Redirects that are followed: what browsers do."""

FOLLOWED = (301, 302, 303, 307, 308)
"""The statuses whose Location is where the page is (RFC 9110, section 15.4)."""

_USER = re.compile(r"(?i)\A(https?:)?//[^/?#]*@")
_NO_HOST = re.compile(r"(?i)\Ahttps?:(/?|//|///.*|/[^/].*)\Z|\A//(/.*)?\Z")


class NotFollowed(Exception):
    """A redirect leads nowhere; the message is a sentence without capital and full stop."""


ENDLESS = f"there are more than {REDIRECT_LIMIT} redirects: look for a circle in the heads"


def is_redirect(code: int) -> bool:
    """Whether a status says that what was asked for is elsewhere."""
    return 300 <= code < 400 and code != 304


def target_of(url: str, code: int, locations: Sequence[bytes]) -> str:
    """Return the URL that an answer with a status from `FOLLOWED` leads to.

    @param locations: the values of its Location headers.
    @raises NotFollowed: if it does not lead to one page.
    """
    match sorted(set(locations)):
        case []:
            raise NotFollowed(
                f"{code} means that the page is elsewhere, but no Location in the head says where:"
                " find its URL in a browser"
            )
        case [location]:
            return _resolved(url, code, location)
        case places:
            named = " and ".join(escaped(place) for place in places)
            raise NotFollowed(f"{code} names two places, {named}: ask for the one that you want")


def _resolved(url: str, code: int, location: bytes) -> str:
    reference = _reference(location)
    shown = escaped(location)
    if not reference.partition("#")[0]:
        raise NotFollowed(
            f"{code} leads back to the page that it answers for, as its Location is '{shown}': to"
            " ask again would bring the same"
        )
    if names_user(reference):
        bare = escaped(_USER.sub(r"\1//", reference))
        raise NotFollowed(
            f"{code} leads to {bare} with a user name and a password, which are not sent: ask for"
            " it yourself, with -u if it wants them"
        )
    if no_host := explain_slashes(reference):
        raise NotFollowed(f"{code} leads to '{shown}': {no_host}")
    try:
        target = urljoin(url, reference)
        parse_url(target)
    except InvalidRequest as error:
        raise NotFollowed(f"{code} leads to '{shown}', which is no page's URL: {error}") from None
    except ValueError:
        raise NotFollowed(f"{code} leads to '{shown}', which is no page's URL") from None
    return target


def explain_slashes(reference: str) -> str:
    """Say what is wrong with a URL that has no host between its slashes, if that is so."""
    if _NO_HOST.match(reference):
        return "a host comes after exactly two slashes, and here is none"
    return ""


def names_user(reference: str) -> bool:
    """Whether a URL has a user name in it."""
    return _USER.match(reference) is not None


def _reference(location: bytes) -> str:
    """Read what a server put into Location, which is to be ASCII and need not be."""
    try:
        text = location.decode()
    except UnicodeDecodeError:
        text = quote(location, safe=PRINTABLE)
    return text.replace(" ", "%20")


def other_host(location: bytes, host: str) -> str:
    """Say, of a Location whose host has no address, that a path may have been meant.

    @return: a sentence without full stop, or nothing.
    """
    if not location.startswith(b"//"):
        return ""
    return (
        f"The redirect to '{escaped(location)}' names another host, {host}, as it begins with two"
        " slashes: a path on the same host begins with one"
    )
