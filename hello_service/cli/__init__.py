"""The commands C{hello-client} and C{hello-fetch}: what they are told, what they say, how they end.

C{client.py} and C{fetch.py} are the two commands. C{run.py} runs either of them in a reactor;
C{trouble.py} has the words and exit statuses of both, C{fetch_trouble.py} those of the fetcher.
C{receiving.py} takes a body in, C{saving.py} writes it to a file, C{showing.py} is for people.

Open C{run.py} first, then the command. C{entry_points.py} is what an installation calls.
"""
