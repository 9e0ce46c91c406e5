"""Gatehouse as far as the plugin sees it: keys over HTTP, and assertions."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import base64url_encode

from tests.settings import AUDIENCE, ISSUER


class Gatehouse:
    def __init__(self):
        self.keys = {}
        self.fetches = 0
        self.broken = False
        gatehouse = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                gatehouse.fetches += 1
                body = b'<html>' if gatehouse.broken else json.dumps({'keys': gatehouse.published()}).encode()
                self.send_response(200)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = HTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f'http://127.0.0.1:{self._server.server_port}/.well-known/jwks.json'
        self.add_key('first')

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def add_key(self, kid):
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())

    def published(self):
        return [
            {'kty': 'EC', 'crv': 'P-256', **_coordinates(key), 'kid': kid, 'use': 'sig', 'alg': 'ES256'}
            for kid, key in self.keys.items()
        ]

    def assertion(self, kid='first', key=None, algorithm='ES256', without=(), **changed):
        now = int(time.time())
        claims = {
            'iss': ISSUER, 'aud': AUDIENCE, 'sub': '1', 'sid': 's', 'username': 'kim@example.com',
            'email': 'kim@example.com', 'email_verified': True, 'name': 'Kim Lee', 'groups': ['Read Only'],
            'permissions': ['netbox.view'], 'is_staff': False, 'is_superuser': False, 'iat': now, 'exp': now + 300,
            **changed,
        }
        for name in without:
            del claims[name]
        return jwt.encode(claims, self.keys[kid] if key is None else key, algorithm=algorithm, headers={'kid': kid})


def _coordinates(key):
    """Of 32 bytes each, leading zeros included (RFC 7518 section 6.2.1.2): `to_jwk` of PyJWT 2.6 leaves them out."""
    point = key.public_key().public_numbers()
    return {name: base64url_encode(getattr(point, name).to_bytes(32, 'big')).decode() for name in ('x', 'y')}
