"""What the host of the bundle runs."""

from grok_mcp.__main__ import main

main()
