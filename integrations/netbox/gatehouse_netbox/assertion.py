"""X-Gatehouse-Assertion: verified as a whole, or not believed at all."""

import time
from dataclasses import dataclass

import jwt

LEEWAY = 5  # seconds by which two clocks may differ
MAX_LIFETIME = 300  # seconds: Gatehouse makes none that live longer
MAX_LENGTH = 64 * 1024
MAX_USERNAME = 150  # of NetBox


class Invalid(Exception):
    """Not to be believed; the message says why, and holds nothing of the assertion."""


@dataclass(frozen=True)
class Person:
    username: str
    email: str
    name: str
    groups: frozenset
    is_staff: bool
    is_superuser: bool


class Verifier:
    def __init__(self, issuer, audience, keys, now=time.time):
        self._issuer = issuer.rstrip('/')
        self._audience = [audience.lower()] if isinstance(audience, str) else [each.lower() for each in audience]
        if not self._audience or not all(self._audience):
            raise ValueError("gatehouse_netbox needs 'audience': the host of NetBox")
        self._keys = keys
        self._now = now

    def verify(self, assertion):
        """The person of a valid assertion. Raises Invalid, or Unavailable where the keys cannot be fetched."""
        if len(assertion) > MAX_LENGTH:
            raise Invalid('it is too long')
        try:
            kid = jwt.get_unverified_header(assertion).get('kid')
        except jwt.PyJWTError as error:
            raise Invalid(str(error)) from error
        key = self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise Invalid('it is signed with a key that Gatehouse does not publish')
        try:
            claims = jwt.decode(
                assertion, key, algorithms=['ES256'], issuer=self._issuer, audience=self._audience, leeway=LEEWAY,
                options={'require': ['exp', 'iat', 'iss', 'aud', 'sub', 'username', 'groups', 'is_superuser']},
            )
        except jwt.PyJWTError as error:
            raise Invalid(str(error)) from error
        self._refuse_impossible_times(claims)
        return _person(claims)

    def _refuse_impossible_times(self, claims):
        """What Gatehouse never makes, even where the signature is right."""
        if type(claims['iat']) is not int or type(claims['exp']) is not int:
            raise Invalid('its times are no whole seconds')
        if claims['iat'] > self._now() + LEEWAY:
            raise Invalid('it was issued in the future')
        if claims['exp'] - claims['iat'] > MAX_LIFETIME:
            raise Invalid('it lives longer than an assertion does')


def _person(claims):
    username, groups = claims['username'], claims['groups']
    if not isinstance(username, str) or not 0 < len(username) <= MAX_USERNAME:
        raise Invalid('its username is none that NetBox can have')
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise Invalid('its groups are no list of names')
    return Person(
        username=username,
        email=_text(claims.get('email')),
        name=_text(claims.get('name')),
        groups=frozenset(groups),
        is_staff=claims.get('is_staff') is True,
        is_superuser=claims['is_superuser'] is True,
    )


def _text(value):
    return value if isinstance(value, str) else ''
