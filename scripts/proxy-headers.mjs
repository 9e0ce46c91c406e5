// The one list of header names that the proxies' files are about. `npm run generate:proxies` writes it into every file
// of config/proxies and into docs/forward-auth.md; test/proxy-files.test.ts holds the files to it.

/** What Gatehouse answers with: a proxy removes the client's own and sets what the answer says. */
export const IDENTITY = [
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-Auth-Request-Email-Verified',
  'X-Auth-Request-Preferred-Username',
  'X-Auth-Request-Groups',
  'X-Auth-Request-Staff',
  'X-Auth-Request-Superuser',
  'Remote-User',
  'Remote-Email',
  'Remote-Name',
  'Remote-Groups',
  'X-Gatehouse-Assertion',
]

/** What a proxy sets for the application from what it knows itself. */
export const SET = ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port']

/**
 * Beginnings of names, each with the names that are known of it. Where a proxy can remove by beginning, the whole
 * family goes; where it can only remove by name, these do.
 */
export const FAMILIES = {
  'X-Auth-Request': ['Access-Token', 'Id-Token', 'Redirect', 'Name', 'Roles'],
  'X-Gatehouse': ['Authorization', 'Emergency', 'Error'],
  // NetBox's defaults are Remote-User-*; CGI's own names are the others.
  'Remote': [
    'Addr',
    'Host',
    'Ident',
    'Port',
    'Group',
    'Roles',
    'User-Email',
    'User-Group',
    'User-Groups',
    'User-Name',
    'User-First-Name',
    'User-Last-Name',
  ],
  'X-Remote': ['User', 'Email', 'Name', 'Group', 'Groups', 'Addr', 'Ip'],
  'X-Original': ['Url', 'Uri', 'Method', 'Host', 'Proto', 'Scheme', 'For', 'Forwarded-For', 'Prefix', 'Remote-Addr'],
  'X-Rewrite': ['Url', 'Uri'],
  'X-WebAuth': ['User', 'Email', 'FullName', 'Name', 'Groups'],
  'X-MS-Client-Principal': ['', 'Id', 'Idp', 'Name'],
  'X-Authentik': ['Username', 'Email', 'Groups', 'Name', 'Uid', 'Jwt'],
  'X-Vouch': ['User', 'Token', 'IdP-AccessToken', 'IdP-IdToken'],
}

/** oauth2-proxy's names for people, and what proxies say of a request. SET is of the same family and stays. */
export const FORWARDED = [
  '',
  'User',
  'Email',
  'Groups',
  'Group',
  'Preferred-Username',
  'Access-Token',
  'Id-Token',
  'Name',
  'Login',
  'Roles',
  'Uri',
  'Method',
  'Path',
  'Prefix',
  'Server',
  'Scheme',
  'Protocol',
  'Ssl',
  'By',
  'For-Original',
  'Host-Original',
  'Client-Ip',
  'Client-Cert',
  'Tls-Client-Cert',
  'Tls-Client-Cert-Info',
  'Remote-User',
  'Remote-Addr',
].map((rest) => joined('X-Forwarded', rest))

/** Names that stand alone. */
export const NAMES = [
  'Forwarded',
  'Forwarded-For',
  'Proxy',
  'Client-IP',
  'X-Client-IP',
  'True-Client-IP',
  'X-Cluster-Client-IP',
  'X-Real-IP',
  'X-ProxyUser-Ip',
  'X-User',
  'X-Email',
  'X-Authenticated-User',
  'X-Authenticated-Userid',
  'X-Scheme',
  'X-Url-Scheme',
  'Front-End-Https',
  'X-Host',
  'X-HTTP-Host-Override',
  'X-Script-Name',
]

/** Every name that no application may receive as the client sent it, and that no proxy sets. */
export const STRIPPED = [
  ...Object.entries(FAMILIES).flatMap(([family, rests]) => rests.map((rest) => joined(family, rest))),
  ...FORWARDED,
  ...NAMES,
]

function joined(family, rest) {
  return rest === '' ? family : `${family}-${rest}`
}

/** Between the parts of a name: CGI, WSGI, PHP and others read every other character there as the hyphen. */
const BETWEEN = '[^a-z0-9]+'

/** @returns a regular expression's source for this name and everything that such programs read as it, in lower case */
export function aliases(name) {
  return name.toLowerCase().replaceAll('-', BETWEEN)
}
