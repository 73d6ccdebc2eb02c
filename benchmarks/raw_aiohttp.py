"""The raw requests of `raw_client.py` by `aiohttp`, which the benchmarks put on the path (`peers.py`)."""

import asyncio
import time

import aiohttp

from benchmarks.raw_client import HEADERS, Result, obey_all, read


async def main() -> None:
    """With one session, and no bound on its connections."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def request(url: str, body: bytes) -> Result:
            began = time.perf_counter()
            async with session.post(url, data=body, headers=HEADERS) as response:
                return await read(response.content.iter_any(), began, stamped=b"-stamp" in body)

        await obey_all(request)


if __name__ == "__main__":
    asyncio.run(main())
