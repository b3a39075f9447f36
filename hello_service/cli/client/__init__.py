"""The command C{hello-client}: it greets a server by names, and prints the answers.

Open C{command.py} first. C{options.py} has what it is told, C{caller.py} talks to the server, and
C{input_lines.py} reads names. C{endpoint.py} is what C{--connect} names, for TLS by
C{tls_endpoint.py} and C{secured.py}.
"""
