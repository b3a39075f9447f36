"""The command C{hello-fetch}: it prints the head of a page, and saves the body.

Open C{command.py} first. C{options.py} has what it is told, C{trouble.py} puts what goes wrong into
words. C{connecting.py} says where connections go and whom they trust. C{asking.py} asks for a page
and goes where C{redirects.py} lead; C{no_page.py} knows the answers that have none. C{page.py} has
C{receiving.py} take the body to its place in C{saving.py}, unpacked as C{unpacking.py} says, while
C{progress.py} shows how far it is. C{trace.py} is for C{--trace}. The agent that does the asking is
C{hello_service.fetch}.
"""
