"""Django without NetBox: its middlewares in NetBox's order, and the plugin's after them."""

ISSUER = 'https://auth.example.com'
AUDIENCE = 'netbox.example.com'

SECRET_KEY = 'for-tests-alone'
ALLOWED_HOSTS = ['*']
USE_TZ = True
ROOT_URLCONF = 'tests.urls'
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
INSTALLED_APPS = [
    'django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions', 'gatehouse_netbox.GatehouseConfig',
]
MIDDLEWARE = [
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.middleware.csrf.CsrfViewMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'gatehouse_netbox.middleware.AssertionMiddleware',
]
AUTHENTICATION_BACKENDS = ['gatehouse_netbox.backend.AssertionBackend', 'django.contrib.auth.backends.ModelBackend']
PLUGINS_CONFIG = {'gatehouse_netbox': {'issuer': ISSUER, 'audience': AUDIENCE, 'jwks_url': 'set by each test'}}
