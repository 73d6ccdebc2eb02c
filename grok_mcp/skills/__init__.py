"""How a host's model does one job well with the tools: a folder of files each, in the form of agent skills.

`server` serves the files and its prompts quote their sections; `packaging/listings.py` copies them into the
plugin for Claude Code. To add a skill, add a folder with a `SKILL.md`.
"""

from grok_mcp.skills.skill import MAIN as MAIN, Skill as Skill, load_skills as load_skills
