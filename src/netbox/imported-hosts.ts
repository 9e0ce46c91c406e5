// The host of NetBox and the domain of the cookie, for the configuration and for NetBox: from ALLOWED_HOSTS where that
// names one host, else variables that the operator must set.
import { isRefusal } from '../config/kinds/kind.js'
import { cookieDomain } from '../config/kinds/networks.js'
import type { Imported } from './imported.js'
import { context } from './rows.js'

export interface ImportedHosts {
  readonly netboxHost: string
  readonly cookieDomain: string
}

export function hostsOf({ netboxHost }: Imported): ImportedHosts {
  // eslint-disable-next-line no-template-curly-in-string -- variables of the configuration
  const [host, domain] = ['${NETBOX_HOST}', '${COOKIE_DOMAIN}']
  if (netboxHost === undefined) return { netboxHost: host, cookieDomain: domain }
  const above = netboxHost.split('.').slice(1).join('.')
  const refused = isRefusal(cookieDomain.read(above, context(above)))
  return { netboxHost, cookieDomain: refused ? domain : above }
}
