"""The ASGI application under the name that deployments use: `uvicorn --factory grok_mcp.http:create_app`.

An alias, so that it stays whatever happens inside; the room `serving` holds it. Nothing else belongs here.
"""

from grok_mcp.serving import create_app as create_app
