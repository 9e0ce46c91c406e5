"""As much of NetBox as the plugin imports, for tests with Django alone."""

from django.apps import AppConfig


class PluginConfig(AppConfig):
    pass
