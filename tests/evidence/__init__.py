"""Measures `grok_mcp/pipeline/evidence.py`: recorded streams, and some written here, are changed in known
ways, played over real HTTP, and what comes back is held against what each change is known to do.

`scenes.py` has the answers, `wire.py` how endpoints send them, `changes.py` what is changed and what has to
be said of it, `measure.py` plays and counts. Nothing of the truth is computed by, or taken from, grok_mcp.
"""
