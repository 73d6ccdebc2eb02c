"""The ASGI application under the name that deployments use: `uvicorn --factory grok_mcp.http:create_app`.

An alias, so that it stays whatever happens inside; `serving/http/app.py` holds it. Nothing else belongs here.
"""

from grok_mcp.serving.http.app import create_app as create_app
