"""One side of the conversation that tests/interop.rs describes, with Python's websockets: `server`, or `client URL`."""
import asyncio
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

MIB = 1 << 20
# Over TLS: a server has a certificate and its key, a client the authority that it believes.
CERTIFICATE, KEY, AUTHORITY = (os.environ.get(name) for name in ("PEER_CERT", "PEER_KEY", "PEER_CA"))


async def server():
    over = asyncio.Event()

    async def talk(connection):
        numbers, asked_to_close, asked_to_quit = 0, False, False
        try:
            async for message in connection:
                words = message[:200].split(" ", 2) if isinstance(message, str) else []
                match words:
                    case ["close", code, reason]:
                        asked_to_close = True
                        await connection.close(int(code), reason)
                    case ["ping", payload]:
                        pong = await connection.ping(payload)
                        await pong
                        await connection.send("pong " + payload)
                    case ["quit"]:
                        asked_to_quit = True
                    case ["number", number, _] if int(number) != numbers:
                        await connection.close(4000, f"{number} instead of {numbers}")
                    case _:
                        numbers += words[:1] == ["number"]
                        await connection.send(message)
        except ConnectionClosed:
            pass
        if asked_to_close:
            end = f"closed {connection.close_code}"
        else:
            end = f"close {connection.close_code} {connection.close_reason} after {numbers} numbers"
        print(f'protocol "{connection.subprotocol or ""}", {end}')
        if asked_to_quit:
            over.set()

    def choose(_, offered):
        return "two" if "two" in offered else None

    tls = None
    if CERTIFICATE:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(CERTIFICATE, KEY)
    async with serve(talk, "127.0.0.1", 0, select_subprotocol=choose, max_size=16 * MIB, ssl=tls) as listening:
        print("listening", listening.sockets[0].getsockname()[1])
        await over.wait()


async def client(url):
    tls = ssl.create_default_context(cafile=AUTHORITY) if AUTHORITY else None

    def connected(**options):
        return connect(url, max_size=16 * MIB, open_timeout=20, ssl=tls, **options)

    async with connected(subprotocols=["one", "two"]) as connection:
        assert connection.subprotocol == "two", connection.subprotocol
        for message in ["", "Grüße, 世界 👋", b"", bytes(range(256)), "é" * (8 * MIB), bytes(range(256)) * (MIB // 16)]:
            await connection.send(message)
            assert await connection.recv() == message, f"echo of {message[:20]!r}… is different"

        pong = await connection.ping(b"anyone there?")
        await pong
        await connection.send("ping here-too")
        assert await connection.recv() == "pong here-too"

        numbers = [f"number {n} " + "x" * (n * 7 % 1000) for n in range(1000)]
        for number in numbers:
            await connection.send(number)
        for number in numbers:
            assert await connection.recv() == number, f"lost or out of order: {number[:12]}"
        await connection.close(1000, "bye")
        assert connection.close_code == 1000, connection.close_code

    for code, reason in [(3000, "three thousand"), (4999, "déjà vu ✓")]:
        async with connected() as connection:
            assert connection.subprotocol is None, connection.subprotocol
            await connection.close(code, reason)
            assert connection.close_code == code, connection.close_code

    for code, reason in [(1000, "done"), (3000, "three thousand"), (4999, "déjà vu ✓")]:
        async with connected() as connection:
            await connection.send(f"close {code} {reason}")
            await connection.wait_closed()
            assert (connection.close_code, connection.close_reason) == (code, reason), connection.close_reason

    async with connected() as connection:
        await connection.send("quit")
        await connection.close(1000, "over")


sys.stdout.reconfigure(line_buffering=True)
role, *url = sys.argv[1:]
asyncio.run(asyncio.wait_for({"server": server, "client": client}[role](*url), 60))
