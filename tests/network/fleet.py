"""nginx in front of server processes, as docs/deploy.md describes it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

needs_a_fleet = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("redis-server"))
    and (os.name == "nt" or not os.environ.get("CI")),
    reason="nginx and redis-server (Debian packages) are not installed",
)

CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream grok {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://grok;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_buffering off;
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


@contextmanager
def nginx(*ports: int) -> Iterator[str]:
    """A proxy that hands one request after the other to these ports in turn; its address."""
    program = shutil.which("nginx")
    assert program, "nginx is not installed"
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        servers = " ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
        file = Path(folder) / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, servers=servers, port=port), encoding="utf-8")
        process = subprocess.Popen([program, "-c", str(file), "-p", folder], stderr=subprocess.DEVNULL)
        try:
            _until_listening(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _until_listening(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("nginx does not listen")
