"""The card, in a host that is made of the extension's own library and a real browser."""
