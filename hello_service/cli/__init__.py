"""The commands C{hello-client} and C{hello-fetch}: what they are told, what they say, how they end.

C{client/} has what only hello-client imports, C{fetch/} what only hello-fetch does. The files
here are for both: C{entry_points.py} is what an installation calls. C{run.py} runs either command
in a reactor, until it is done or C{signals.py} gets a signal. Both write to C{console.py}, and
C{trouble.py} has their words and exit statuses.

Open C{run.py} first, then the command: C{client/command.py} or C{fetch/command.py}.
"""
