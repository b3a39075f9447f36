"""What others see of a daemon: its pages over HTTP, its metrics, its answer to HAProxy's agent.

Open ports.py first: it puts together what is in the other files.
"""
