"""The person of an assertion as NetBox's user: made on first sight, and brought up to date where anything changed."""

import logging

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import FieldDoesNotExist
from django.db import transaction

logger = logging.getLogger('gatehouse_netbox')

PATH = 'gatehouse_netbox.backend.AssertionBackend'

_unknown_groups = set()  # named in the log once in each process


class AssertionBackend(BaseBackend):
    """Permissions come from NetBox's own backend, which looks at the user's groups."""

    def authenticate(self, request, gatehouse_person=None):
        if gatehouse_person is None:
            return None
        with transaction.atomic():
            user = _user_of(gatehouse_person)
            if not user.is_active:
                return None
            _apply(gatehouse_person, user)
        return user

    def get_user(self, user_id):
        """Nobody: a session by itself says nothing. The middleware says who it is, from the assertion."""
        return None


def _user_of(person):
    users = get_user_model()._default_manager
    user, created = users.get_or_create(username=person.username)
    if created:
        user.set_unusable_password()
        user.save()
        logger.info('user %s was created', person.username)
    return user


def _apply(person, user):
    first, _, last = person.name.partition(' ')
    fields = {
        'email': person.email[:254],
        'first_name': first[:150],
        'last_name': last[:150],
        'is_superuser': person.is_superuser,
        **({'is_staff': person.is_staff} if _has_staff(type(user)) else {}),
    }
    changed = [name for name, value in fields.items() if getattr(user, name) != value]
    if changed:
        for name in changed:
            setattr(user, name, fields[name])
        user.save(update_fields=changed)
        logger.info('user %s: %s follow Gatehouse', person.username, ', '.join(changed))
    _apply_groups(person, user)


def _apply_groups(person, user):
    if set(user.groups.values_list('name', flat=True)) == person.groups:
        return
    found = list(user.groups.model._default_manager.filter(name__in=person.groups))
    names = {group.name for group in found}
    for name in sorted(person.groups - names - _unknown_groups):
        _unknown_groups.add(name)
        logger.warning('group not found in NetBox: %s', name)
    if set(user.groups.values_list('name', flat=True)) != names:
        user.groups.set(found)
        logger.info('user %s is now in: %s', person.username, ', '.join(sorted(names)))


def _has_staff(model):
    """NetBox has had no such field since 4.5."""
    try:
        model._meta.get_field('is_staff')
    except FieldDoesNotExist:
        return False
    return True
