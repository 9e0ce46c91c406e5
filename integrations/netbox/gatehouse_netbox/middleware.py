"""At every request: who is it, from the assertion alone."""

import logging
import time

from django.conf import settings
from django.contrib import auth
from django.db import DatabaseError
from django.http import JsonResponse

from .assertion import Invalid, Verifier
from .backend import PATH
from .keys import Keys, Unavailable

logger = logging.getLogger('gatehouse_netbox')

HEADER = 'HTTP_X_GATEHOUSE_ASSERTION'
TOKEN_SCHEMES = ('token', 'bearer')
LOG_INTERVAL = 60  # seconds between two lines about assertions that are not believed


class AssertionMiddleware:
    def __init__(self, get_response):
        self._get_response = get_response
        given = settings.PLUGINS_CONFIG['gatehouse_netbox']
        issuer = given['issuer'].rstrip('/')
        keys = Keys(given.get('jwks_url') or f'{issuer}/.well-known/jwks.json')
        self._verifier = Verifier(issuer, given['audience'], keys)
        self._logged = None

    def __call__(self, request):
        if not _has_other_session(request) and not _has_token(request):
            assertion = request.META.get(HEADER, '')
            if assertion:
                refusal = self._sign_in(request, assertion)
                if refusal is not None:
                    return refusal
        return self._get_response(request)

    def _sign_in(self, request, assertion):
        """Sets request.user; an answer where that cannot be decided now. Whoever is not believed stays nobody."""
        try:
            person = self._verifier.verify(assertion)
            user = auth.authenticate(request, gatehouse_person=person)
        except Invalid as error:
            self._warn(f'an assertion is not believed: {error}')
        except Unavailable:
            return _later('The keys of the login gateway cannot be fetched.')
        except DatabaseError as error:
            logger.error('the user cannot be brought up to date: %s', error)
            return _later('Your account cannot be brought up to date now.')
        else:
            if user is None:
                self._warn(f'{person.username} is not active in NetBox')
            else:
                _log_in(request, user)
        return None

    def _warn(self, message):
        now = time.monotonic()
        if self._logged is None or now - self._logged >= LOG_INTERVAL:
            self._logged = now
            logger.warning(message)


def _has_other_session(request):
    """Somebody who signed in with NetBox's own form."""
    return request.session.get(auth.BACKEND_SESSION_KEY) != PATH and request.user.is_authenticated


def _has_token(request):
    """NetBox itself decides about its tokens; the user of this request is then nobody but the token's."""
    scheme, _, _ = request.META.get('HTTP_AUTHORIZATION', '').partition(' ')
    return scheme.lower() in TOKEN_SCHEMES


def _log_in(request, user):
    """A session of NetBox, for what it keeps there. It counts with an assertion of the same person alone."""
    session = request.session
    if session.get(auth.BACKEND_SESSION_KEY) == PATH and session.get(auth.SESSION_KEY) == str(user.pk):
        request.user = user
        return
    before, token = session.get(auth.SESSION_KEY), request.META.get('CSRF_COOKIE')
    auth.login(request, user, backend=PATH)
    if token is not None and before in (None, str(user.pk)):
        request.META['CSRF_COOKIE'] = token  # open forms of a person whose session is over hold it


def _later(sentence):
    return JsonResponse({'detail': sentence}, status=503, headers={'Retry-After': '5', 'Cache-Control': 'no-store'})
