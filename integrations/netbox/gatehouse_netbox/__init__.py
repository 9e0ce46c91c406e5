"""Gatehouse for NetBox: who somebody is, and what they may do, comes with every request as a signed assertion."""

from netbox.plugins import PluginConfig


class GatehouseConfig(PluginConfig):
    name = 'gatehouse_netbox'
    verbose_name = 'Gatehouse'
    description = "The person and their rights from Gatehouse's signed assertion, at every request"
    version = '0.2.0'
    base_url = 'gatehouse'
    required_settings = ['issuer', 'audience']
    default_settings = {
        'jwks_url': None,  # another address of the keys than {issuer}/.well-known/jwks.json
    }
    middleware = ['gatehouse_netbox.middleware.AssertionMiddleware']


config = GatehouseConfig
