"""The commands C{hello-client} and C{hello-fetch}: what they are told, what they say, how they end.

C{entry_points.py} is what an installation calls; C{run.py} runs either command in a reactor.
C{client.py} and C{fetch.py} are the commands, each with its C{_options}. For the client,
C{caller.py} talks to the server; for the fetcher, C{asking.py} asks for a page and follows
C{redirects.py}, C{page.py} saves what comes. C{trouble.py} has the words and exit statuses.

Open C{run.py} first, then the command.
"""
