// The settings of NetBox's configuration.py behind Gatehouse, with the plugin of integrations/netbox.
import { hostsOf } from './imported-hosts.js'
import type { Imported } from './imported.js'

export function toNetboxBlock(imported: Imported): string {
  const { netboxHost } = hostsOf(imported)
  const audience = netboxHost.startsWith('$') ? 'netbox.example.com' : netboxHost
  const replace = (what: string) => `# REPLACE: ${what}`
  return `# Remove: SOCIAL_AUTH_*, every other REMOTE_AUTH_*, LOGIN_TIMEOUT, LOGIN_PERSISTENCE.
PLUGINS = ['gatehouse_netbox']  # beside your other plugins
PLUGINS_CONFIG = {
    'gatehouse_netbox': {
        'issuer': 'https://auth.example.com',  ${replace('server.publicUrl of Gatehouse')}
        'audience': '${audience}',  ${audience === netboxHost ? '# the host of NetBox' : replace('the host of NetBox')}
    },
}
REMOTE_AUTH_ENABLED = False  # the plugin takes its place
REMOTE_AUTH_BACKEND = 'gatehouse_netbox.backend.AssertionBackend'
LOGOUT_REDIRECT_URL = 'https://auth.example.com/oauth2/sign_out'  ${replace('server.publicUrl of Gatehouse')}
`
}
