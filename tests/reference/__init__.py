"""Makes `docs/tools.md`: what the code says of tools, prompts and resources, with the words of `texts.toml`.

`python -m tests.reference` (part of `make snapshots`) writes it; `test_reference.py` compares.
"""
