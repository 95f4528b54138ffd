"""peer.py server|client ARGUMENT OPTIONS: Python's `websockets` with its own compression.

`client URL {…}` connects, `server - {…}` listens on a free port, prints it, and waits for a guest. Either way it then
sends messages of many sizes, compares what comes back, and prints what was agreed. OPTIONS are those of the extension's factory.
"""
import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

role, argument, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])


def messages():
    seed = 1
    for n in range(200):
        size = [0, 1, 100, 1023, 1024, 5000, 40_000, 70_000][n % 8] + n
        words = []
        while len(words) * 8 < size:
            seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
            words.append(f"{seed % 997:07} ")
        text = "".join(words)[:size]
        yield text.encode() if n % 3 == 0 else text


async def talk(connection):
    for message in messages():
        await connection.send(message)
        echo = await asyncio.wait_for(connection.recv(), 20)
        if echo != message:
            raise SystemExit(f"peer.py: {len(message)} sent, {len(echo)} others came back")
    agreed = [extension for extension in connection.protocol.extensions]
    print(json.dumps({"agreed": str(agreed[0]) if agreed else "", "messages": 200}), flush=True)


async def main():
    if role == "client":
        async with connect(argument, extensions=[ClientPerMessageDeflateFactory(**options)], compression=None, proxy=None) as connection:
            await talk(connection)
        return
    over = asyncio.Event()

    async def handler(connection):
        await talk(connection)
        over.set()

    async with serve(handler, "127.0.0.1", 0, extensions=[ServerPerMessageDeflateFactory(**options)], compression=None) as server:
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await over.wait()


asyncio.run(main())
