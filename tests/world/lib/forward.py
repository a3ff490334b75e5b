"""Pass connections on. Usage: forward.py LISTEN TO, each tcp:HOST:PORT or unix:PATH.

TO may be banner:TEXT, which only greets. LISTEN may be tls:HOST:PORT:FOLDER, with cert.pem and key.pem in the folder: what is passed on is then plain.
"""

import asyncio
import os
import ssl
import sys


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def connect(way: str):
    kind, rest = way.split(":", 1)
    if kind == "unix":
        return await asyncio.open_unix_connection(rest)
    host, port = rest.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port))


async def serve(listen: str, to: str) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if to.startswith("banner:"):
            writer.write(to.removeprefix("banner:").encode() + b"\r\n")
            writer.close()
            return
        try:
            far_reader, far_writer = await connect(to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    kind, rest = listen.split(":", 1)
    if kind == "unix":
        server = await asyncio.start_unix_server(accept, rest)
        os.chmod(rest, 0o600)
    else:
        host, port, *folder = rest.split(":", 2)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if kind == "tls" else None
        if tls:
            tls.load_cert_chain(f"{folder[0]}/cert.pem", f"{folder[0]}/key.pem")
        server = await asyncio.start_server(accept, host, int(port), ssl=tls)
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
