import logging
import time
from io import StringIO

from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client, TestCase, override_settings
from gatehouse_netbox import backend
from gatehouse_netbox.keys import MAX_AGE, MIN_INTERVAL, Keys, Unavailable
from gatehouse_netbox.management.commands.gatehouse_rename_users import Command

from tests.gatehouse import Gatehouse
from tests.settings import AUDIENCE, ISSUER

NOBODY = {'username': '', 'email': '', 'first': '', 'last': '', 'groups': [], 'staff': False, 'superuser': False}
KIM = {
    **NOBODY, 'username': 'kim@example.com', 'email': 'kim@example.com', 'first': 'Kim', 'last': 'Lee',
    'groups': ['Read Only'],
}


class PluginTest(TestCase):
    def setUp(self):
        self.gatehouse = Gatehouse()
        self.addCleanup(self.gatehouse.close)
        given = {'gatehouse_netbox': {'issuer': ISSUER, 'audience': AUDIENCE, 'jwks_url': self.gatehouse.url}}
        changed = override_settings(PLUGINS_CONFIG=given)
        changed.enable()
        self.addCleanup(changed.disable)
        backend._unknown_groups.clear()
        for name in ('Read Only', 'Büro'):
            Group.objects.create(name=name)
        self.client = Client(enforce_csrf_checks=True)
        logging.getLogger('gatehouse_netbox').setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger('gatehouse_netbox').setLevel, logging.NOTSET)

    def who(self, assertion='', client=None, **headers):
        answer = (client or self.client).get('/', HTTP_X_GATEHOUSE_ASSERTION=assertion, **headers)
        self.assertEqual(answer.status_code, 200)
        return answer.json()

    def test_the_person_and_their_rights_follow_every_assertion(self):
        self.assertEqual(self.who(self.gatehouse.assertion()), KIM)
        session = self.client.cookies['sessionid'].value
        now = {'name': 'Zoë Å. Ångström', 'email': 'jörg@example.com', 'groups': ['Büro'], 'is_superuser': True}
        zoe = {**KIM, 'first': 'Zoë', 'last': 'Å. Ångström', 'email': 'jörg@example.com', 'groups': ['Büro']}
        self.assertEqual(self.who(self.gatehouse.assertion(**now)), {**zoe, 'superuser': True})
        self.assertEqual(self.who(self.gatehouse.assertion(**{**now, 'is_staff': True, 'is_superuser': False})),
                         {**zoe, 'staff': True})
        self.assertEqual(self.who(self.gatehouse.assertion(groups=[], without=('email', 'name'))),
                         {**KIM, 'groups': [], 'email': '', 'first': '', 'last': ''})
        self.assertEqual(self.client.cookies['sessionid'].value, session)
        self.assertFalse(get_user_model().objects.get().has_usable_password())

    def test_a_session_of_the_plugin_is_nobody_without_an_assertion(self):
        self.who(self.gatehouse.assertion())
        self.assertEqual(self.who(), NOBODY)
        self.assertEqual(self.who(HTTP_AUTHORIZATION='Bearer nbt_a.b'), NOBODY)
        self.assertEqual(self.who('not an assertion'), NOBODY)
        self.assertEqual(self.who(self.gatehouse.assertion()), KIM)

    def test_what_gatehouse_never_makes_is_not_believed(self):
        now = int(time.time())
        other = ec.generate_private_key(ec.SECP256R1())
        bad = {
            'another signature': self.gatehouse.assertion(key=other),
            'a symmetric key': self.gatehouse.assertion(key='x' * 64, algorithm='HS256'),
            'no signature': self.gatehouse.assertion(key='', algorithm='none'),
            'an unknown key': self.gatehouse.assertion(key=other, kid='unknown'),
            'another application': self.gatehouse.assertion(aud='wiki.example.com'),
            'another gateway': self.gatehouse.assertion(iss='https://evil.example.com'),
            'expired': self.gatehouse.assertion(iat=now - 310, exp=now - 10),
            'from the future': self.gatehouse.assertion(iat=now + 60, exp=now + 300),
            'too long a life': self.gatehouse.assertion(exp=now + 3600),
            'no name': self.gatehouse.assertion(username=''),
            'a name that is too long': self.gatehouse.assertion(username='x' * 151),
            'groups that are none': self.gatehouse.assertion(groups='Read Only'),
            'cut': self.gatehouse.assertion()[:-4],
            'long': 'x' * 70000,
            **{f'without {name}': self.gatehouse.assertion(without=(name,))
               for name in ('exp', 'iat', 'iss', 'aud', 'sub', 'username', 'groups', 'is_superuser')},
        }
        for name, assertion in bad.items():
            with self.subTest(name):
                self.assertEqual(self.who(assertion), NOBODY)
        self.assertEqual(get_user_model().objects.count(), 0)

    def test_a_flag_is_true_where_it_is_true_alone(self):
        self.assertFalse(self.who(self.gatehouse.assertion(is_superuser='true', is_staff=1))['superuser'])

    def test_forms_survive_a_new_sign_in_but_not_another_person(self):
        headers = {'HTTP_X_GATEHOUSE_ASSERTION': self.gatehouse.assertion()}
        token = self.client.get('/form', **headers).content.decode()
        del self.client.cookies['sessionid']
        self.who(headers['HTTP_X_GATEHOUSE_ASSERTION'])  # something else of the page, with a session of its own
        save = {'data': {'csrfmiddlewaretoken': token}, **headers}
        self.assertEqual(self.client.post('/form', **save).content, b'saved')
        self.who(self.gatehouse.assertion(username='ann@example.com'))
        self.assertEqual(self.client.post('/form', **save).status_code, 403)

    def test_another_person_gets_another_session(self):
        self.who(self.gatehouse.assertion())
        session = self.client.cookies['sessionid'].value
        self.assertEqual(self.who(self.gatehouse.assertion(username='ann@example.com'))['username'], 'ann@example.com')
        self.assertNotEqual(self.client.cookies['sessionid'].value, session)

    def test_a_local_session_and_a_token_are_left_alone(self):
        local = get_user_model().objects.create_user('local', password='a-local-password')
        self.client.force_login(local, backend='django.contrib.auth.backends.ModelBackend')
        self.assertEqual(self.who()['username'], 'local')
        self.assertEqual(self.who(self.gatehouse.assertion())['username'], 'local')
        fresh = Client()
        self.assertEqual(self.who(self.gatehouse.assertion(), fresh, HTTP_AUTHORIZATION='Token abc'), NOBODY)
        self.assertNotIn('sessionid', fresh.cookies)

    def test_an_account_that_is_not_active_is_nobody(self):
        get_user_model().objects.create_user('kim@example.com', is_active=False)
        self.assertEqual(self.who(self.gatehouse.assertion(is_superuser=True)), NOBODY)
        self.assertFalse(get_user_model().objects.get().is_superuser)

    def test_a_group_that_is_not_there_is_logged_once(self):
        logging.getLogger('gatehouse_netbox').setLevel(logging.WARNING)
        with self.assertLogs('gatehouse_netbox', 'WARNING') as logs:
            for _ in range(3):
                kim = self.who(self.gatehouse.assertion(groups=['Read Only', 'Gone']))
                self.assertEqual(kim['groups'], ['Read Only'])
        self.assertEqual([record.getMessage() for record in logs.records], ['group not found in NetBox: Gone'])

    def test_without_keys_nobody_gets_anywhere(self):
        self.gatehouse.broken = True
        answer = self.client.get('/', HTTP_X_GATEHOUSE_ASSERTION=self.gatehouse.assertion())
        self.assertEqual((answer.status_code, answer['Retry-After']), (503, '5'))
        self.assertIn('detail', answer.json())
        self.assertEqual(self.who(), NOBODY)

    def test_the_default_address_of_the_keys(self):
        from gatehouse_netbox.middleware import AssertionMiddleware
        with override_settings(PLUGINS_CONFIG={'gatehouse_netbox': {'issuer': f'{ISSUER}/', 'audience': AUDIENCE}}):
            verifier = AssertionMiddleware(None)._verifier
        self.assertEqual(verifier._keys._url, f'{ISSUER}/.well-known/jwks.json')
        for audience in ('', []):
            with override_settings(PLUGINS_CONFIG={'gatehouse_netbox': {'issuer': ISSUER, 'audience': audience}}):
                self.assertRaises(ValueError, AssertionMiddleware, None)

    def test_accounts_are_renamed_by_their_upn(self):
        users = get_user_model().objects
        people = [(upn, users.create_user(name)) for name, upn in (
            ('KimLee', 'Kim@example.com'), ('ann@example.com', 'ann@example.com'), ('Bob', 'opaque'),
            ('Eve', 'ANN@example.com'))]
        names = ['Bob', 'Eve', 'KimLee', 'ann@example.com']
        for really, left in ((False, names), (True, ['Bob', 'Eve', 'Kim@example.com', 'ann@example.com'])):
            out, err = StringIO(), StringIO()
            Command(stdout=out, stderr=err).rename(people, really)
            self.assertEqual(sorted(users.values_list('username', flat=True)), left)
            self.assertIn('KimLee -> Kim@example.com\n1 ', out.getvalue())
            self.assertEqual(len(err.getvalue().splitlines()), 2)


class KeysTest(TestCase):
    def setUp(self):
        self.gatehouse = Gatehouse()
        self.addCleanup(self.gatehouse.close)
        self.now = 1000.0
        self.keys = Keys(self.gatehouse.url, clock=lambda: self.now)
        logging.getLogger('gatehouse_netbox').setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger('gatehouse_netbox').setLevel, logging.NOTSET)

    def test_unknown_key_ids_cost_one_fetch_in_a_while(self):
        self.assertIsNotNone(self.keys.find('first'))
        for number in range(50):
            self.assertIsNone(self.keys.find(f'unknown {number}'))
        self.assertEqual(self.gatehouse.fetches, 1)
        self.gatehouse.add_key('second')
        self.now += MIN_INTERVAL
        self.assertIsNotNone(self.keys.find('second'))
        self.assertEqual(self.gatehouse.fetches, 2)

    def test_a_withdrawn_key_counts_for_five_minutes_at_most(self):
        self.keys.find('first')
        self.gatehouse.keys = {}
        self.gatehouse.add_key('second')
        self.now += MAX_AGE
        self.assertIsNone(self.keys.find('first'))

    def test_keys_that_cannot_be_fetched_anew_end(self):
        self.keys.find('first')
        self.gatehouse.broken = True
        self.now += MAX_AGE - 1
        self.assertIsNotNone(self.keys.find('first'))
        self.now += 1
        self.assertRaises(Unavailable, self.keys.find, 'first')
        fetches = self.gatehouse.fetches
        self.assertRaises(Unavailable, self.keys.find, 'first')
        self.assertEqual(self.gatehouse.fetches, fetches)
        self.gatehouse.broken = False
        self.now += MIN_INTERVAL
        self.assertIsNotNone(self.keys.find('first'))
