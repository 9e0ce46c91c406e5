"""The public keys of Gatehouse (RFC 7517): fetched when they are needed, kept for five minutes."""

import json
import logging
import threading
import time
import urllib.request

import jwt

logger = logging.getLogger('gatehouse_netbox')

MAX_AGE = 300  # seconds: a key that was withdrawn must not count for longer
MIN_INTERVAL = 10  # seconds between two fetches, however many unknown key ids arrive
TIMEOUT = 5
MAX_BYTES = 1 << 20


class Unavailable(Exception):
    """The keys cannot be fetched: nobody can be verified now."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None  # keys come from the configured address alone


class Keys:
    def __init__(self, url, clock=time.monotonic):
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = {}
        self._fetched = None  # when the keys that are kept were fetched
        self._tried = None  # when a fetch was last begun
        self._opener = urllib.request.build_opener(_NoRedirect)

    def find(self, kid):
        """The key of this id; None where Gatehouse has no such key. Raises Unavailable."""
        with self._lock:
            if not self._fresh() or (kid not in self._keys and self._may_fetch()):
                self._fetch()
            return self._keys.get(kid)

    def _fresh(self):
        return self._fetched is not None and self._clock() - self._fetched < MAX_AGE

    def _may_fetch(self):
        return self._tried is None or self._clock() - self._tried >= MIN_INTERVAL

    def _fetch(self):
        if not self._may_fetch():
            raise Unavailable('the last attempt to fetch the keys failed a moment ago')
        self._tried = self._clock()
        try:
            with self._opener.open(self._url, timeout=TIMEOUT) as response:
                found = _read(response.read(MAX_BYTES))
        except Exception as error:
            logger.error('the keys of Gatehouse cannot be fetched from %s: %s', self._url, error)
            if not self._fresh():
                raise Unavailable(str(error)) from error
        else:
            self._keys, self._fetched = found, self._clock()


def _read(body):
    """ES256 keys by their id; anything else in the set is for somebody else."""
    keys = {}
    for entry in json.loads(body)['keys']:
        if entry.get('kty') == 'EC' and entry.get('crv') == 'P-256' and entry.get('use', 'sig') == 'sig':
            keys[entry['kid']] = jwt.PyJWK(entry, algorithm='ES256').key
    return keys
