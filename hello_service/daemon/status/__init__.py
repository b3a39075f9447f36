"""What others see of a daemon: its pages over HTTP, its metrics, its answer to HAProxy's agent.

Open http.py first; counters.py has what the pages tell, beside.py the ports that they are on.
"""
