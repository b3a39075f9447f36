"""Options of curl's that C{hello-fetch} does not have, and what to do in place of each."""

from collections.abc import Callable, Sequence

_HTTP_1 = "leave it out: HTTP/1.1 is spoken to every server"
_TLS = "leave it out: TLS 1.2 or newer is agreed on with every server"
_DECODED = "leave it out: gzip and deflate are decoded as they are"
_QUERY = "write the query into the URL, after a ?"
_NO_PROXY = "leave it out: connections go to the server itself, and to no proxy"
_OTHER_LOGIN = "write -u for Basic; any other login is yours to send, with -H 'Authorization: ...'"
_POLICY = "the command leaves it to OpenSSL: give RawAgent a policy_for_https"
_CLIENT_CERTIFICATE = "the command has no certificate of its own: give RawAgent a policy_for_https"
_SYSTEM = "leave it out: names and addresses are the system's choice"
_AGAIN = "repeat it in your script: statuses 3 to 7 may pass, the others stay"
_PLAIN_DATA = "write -d"

_INSTEAD = (
    ("--location", "write --follow, or -L"),
    ("--location-trusted", "write --follow; what is secret goes to the first origin alone"),
    ("--max-redirs", "leave it out: 20 redirects are followed"),
    ("-i --include --show-headers", "leave it out: the head is shown anyway"),
    ("-s --silent --no-progress-meter", "write -q"),
    ("-S --show-error", "leave it out: errors are shown, even with -q"),
    ("-# --progress-bar", "leave it out: a terminal gets one anyway"),
    ("-O --remote-name", "leave it out: the file gets the URL's last part as its name"),
    ("-J --remote-header-name --output-dir --create-dirs", "name the file with -o"),
    ("-R --remote-time", "leave it out: the head has the date, for touch -d"),
    ("--no-clobber --remove-on-error", "leave it out: a file appears only once it is whole"),
    ("--stderr", "write 2> FILE"),
    ("-D --dump-header", "write > FILE: the head goes to standard output"),
    ("-w --write-out", "write --report json"),
    ("--trace-ascii", "write --trace"),
    ("--trace-time", "write --trace, which has the times"),
    ("--fail-with-body", "leave it out: a page is saved whatever the status, which the head has"),
    ("--data-raw", "write -d; data that begins with @ comes from a file, or from -d @-"),
    ("--data-binary --data-ascii", _PLAIN_DATA),
    ("--data-urlencode", "write -d, with the value encoded"),
    ("--json", "write -d DATA -H 'Content-Type: application/json'"),
    ("-F --form", "forms with files are for curl, or for treq with RawAgent"),
    ("-T --upload-file", "write -X PUT -d @FILE"),
    ("-G --get --url-query", _QUERY),
    ("--url", "write the URL alone"),
    ("-g --globoff --path-as-is", "leave it out: URLs are sent as they are written"),
    ("--compressed --tr-encoding", _DECODED),
    ("-A --user-agent", "write -H 'User-Agent: ...'"),
    ("-e --referer", "write -H 'Referer: ...'"),
    ("-b --cookie", "write -H 'Cookie: NAME=VALUE'"),
    ("-c --cookie-jar", "leave it out: cookies last as long as the redirects, and are not saved"),
    ("-r --range", "write -H 'Range: bytes=...'"),
    ("-C --continue-at", "write --continue"),
    ("-z --time-cond", "write -H 'If-Modified-Since: ...'"),
    ("--basic", "leave it out: -u is Basic"),
    ("--digest --ntlm --negotiate --anyauth", _OTHER_LOGIN),
    ("--oauth2-bearer", "write -H 'Authorization: Bearer ...'"),
    ("-n --netrc --netrc-file", "write -u USER"),
    ("-x --proxy --socks5 --socks5-hostname --noproxy", _NO_PROXY),
    ("-U --proxy-user -p --proxytunnel", _NO_PROXY),
    ("--resolve", "write --connect-to"),
    ("--ipv4", "write -4"),
    ("--ipv6", "write -6"),
    ("--interface --local-port --dns-servers --doh-url", _SYSTEM),
    ("--haproxy-protocol", "write --proxy-header v1"),
    ("--http1.1 --http2 --http2-prior-knowledge --http3 --http1.0", _HTTP_1),
    ("--tlsv1 --tlsv1.0 --tlsv1.1 --tlsv1.2 --tlsv1.3 --tls-max", _TLS),
    ("--ciphers --tls13-ciphers --curves --pinnedpubkey", _POLICY),
    ("--capath", "name the folder in SSL_CERT_DIR"),
    ("-E --cert --key", _CLIENT_CERTIFICATE),
    ("--connect-timeout -y -Y --speed-time --speed-limit", "write --timeout"),
    ("--max-filesize", "write --max-size"),
    ("--limit-rate", "write -o - and pipe it to pv -L: what reads slowly is sent slowly"),
    ("--expect100-timeout", "leave it out: no answer of 100 is waited for"),
    ("--retry --retry-delay --retry-max-time --retry-connrefused --retry-all-errors", _AGAIN),
    ("--keepalive-time --no-keepalive", "leave it out: each request has a connection of its own"),
    ("-N --no-buffer", "leave it out: what comes is written at once"),
    ("-Z --parallel --next", "start one hello-fetch for each page"),
    ("-K --config", "write the options into the command"),
    ("-V", "write --version"),
)

WORDS = {option: words for options, words in _INSTEAD for option in options.split()}
"""What to do in place of each, by its option."""


def instead_of(arguments: Sequence[str], is_flag: Callable[[str], bool]) -> str:
    """Say what to write in place of the options that are curl's and not ours.

    @param is_flag: whether an option, such as C{-L}, is ours and takes no value.
    @return: a sentence, or nothing if there is no such option.
    """
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    options = [option for argument in ours for option in _options_in(argument, is_flag)]
    told = [f"{option}: {WORDS[option]}" for option in options if option in WORDS]
    return f"{'; '.join(told)}." if told else ""


def _options_in(argument: str, is_flag: Callable[[str], bool]) -> list[str]:
    """Return the options that an argument may be: C{-sSLo} has four."""
    if argument.startswith("--"):
        return [argument.partition("=")[0]]
    if " " in argument or not argument.startswith("-"):  # argparse takes the first for a value
        return []
    options = []
    for letter in argument[1:]:
        options.append(f"-{letter}")
        if not (is_flag(options[-1]) or options[-1] in WORDS):
            break
    return options
