"""Accounts of NetBox's own sign-in with Entra ID get the names that Gatehouse sends for the same people."""

from django.core.management.base import BaseCommand
from django.db import transaction

PROVIDERS = ('azuread-oauth2', 'azuread-tenant-oauth2', 'azuread-v2-tenant-oauth2')


class Command(BaseCommand):
    help = (
        "Renames the accounts of NetBox's own sign-in with Entra ID to the UPN with which they signed in. Prints what "
        'it would do; --yes does it.'
    )

    def add_arguments(self, parser):
        parser.add_argument('--yes', action='store_true', help='rename, instead of printing what would be renamed')

    def handle(self, *args, **options):
        from social_django.models import UserSocialAuth  # NetBox has it; the tests without NetBox do not

        links = UserSocialAuth.objects.filter(provider__in=PROVIDERS).select_related('user').order_by('pk')
        self.rename([(link.uid, link.user) for link in links], options['yes'])

    @transaction.atomic
    def rename(self, people, really):
        """@param people: pairs of the UPN and the user"""
        count = 0
        for upn, user in people:
            if '@' not in upn:
                self.stderr.write(f'{user.username}: left alone, its link {upn} is no UPN')
            elif user.username == upn:
                continue
            elif type(user)._default_manager.filter(username__iexact=upn).exclude(pk=user.pk).exists():
                self.stderr.write(f'{user.username}: left alone, another account is called {upn}')
            else:
                self.stdout.write(f'{user.username} -> {upn}')
                count += 1
                if really:
                    user.username = upn
                    user.save(update_fields=['username'])
        done = 'renamed' if really else 'to be renamed with --yes'
        self.stdout.write(f'{count} {done}')
