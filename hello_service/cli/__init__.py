"""The commands C{hello-client} and C{hello-fetch}: what they are told, what they say, how they end.

C{entry_points.py} is what an installation calls. C{run.py} runs either command in a reactor, until
it is done or C{signals.py} gets a signal. Both write to C{console.py}, and C{trouble.py} has their
words and exit statuses.

C{client.py} is hello-client. C{caller.py} talks to the server, C{input_lines.py} reads names, and
C{endpoint.py} is what C{--connect} names, for TLS by C{tls_endpoint.py} and C{secured.py}.

C{fetch.py} is hello-fetch. C{asking.py} asks for a page and goes where C{redirects.py} lead.
C{page.py} has C{receiving.py} take the body to its place in C{saving.py}; C{trace.py} is for
C{--trace}.

Open C{run.py} first, then the command.
"""
