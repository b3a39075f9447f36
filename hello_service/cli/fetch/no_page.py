"""Answers without a page of their own, which leave the file that is there alone."""

from hello_service.cli.escaping import escaped
from hello_service.cli.fetch.redirects import FOLLOWED, NotFollowed, is_redirect, target_of
from hello_service.fetch.response import RawResponse

_EMPTY = {
    204: "204 means that it is done, and that there is no page to show",
    205: "205 means that it is done, and that the form is to be empty again",
    304: "304 means that the page is still the one that your headers name",
}


def why_no_page(url: str, response: RawResponse) -> str:
    """Say why a response has no page to save, or nothing if it has one.

    @return: a sentence without full stop.
    """
    code = response.code
    if code in _EMPTY:
        return _EMPTY[code]
    if not is_redirect(code):
        return ""
    locations = response.headers.getRawHeaders(b"location", [])
    if code in FOLLOWED:
        try:
            target = target_of(url, code, locations)
        except NotFollowed as error:
            return str(error)
        return f"{code} means that the page is at {escaped(target)}: add --follow to go there"
    if code == 300:
        return "300 means that there are several pages: ask for one that the head or the page names"
    return f"{code} is no redirect that a fetcher can follow: find the URL of the page in a browser"
