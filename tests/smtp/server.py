"""A mail server for tests: STARTTLS and a login are required, each mail becomes a file.

Usage: server.py PORT FOLDER CERTIFICATE KEY USER PASSWORD
"""
import pathlib
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

port, folder, certificate, key, user, password = sys.argv[1:]
folder = pathlib.Path(folder)


class Handler:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        text = f"TO {','.join(envelope.rcpt_tos)} TLS {session.ssl is not None}\n".encode() + envelope.content
        new = folder / f"{self.count}.new"
        new.write_bytes(text)
        new.rename(folder / f"{self.count}.mail")
        self.count += 1
        return "250 taken"


def signs_in(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=good, handled=good)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
Controller(Handler(), hostname="127.0.0.1", port=int(port), tls_context=context, require_starttls=True,
           auth_required=True, authenticator=signs_in).start()
while True:
    time.sleep(3600)
