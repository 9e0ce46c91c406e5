// What random requests are put together from: awkward paths, hosts, headers and framing.
import { IDENTITY_HEADERS } from '../../../src/core/identity-headers.js'
import { APP, AUTH } from '../../helpers/proxies-scene.js'

const words = (text: string) => text.trim().split(/\s+/)

export const METHODS = words(`
  GET GET GET GET GET GET POST POST HEAD DELETE PUT PATCH OPTIONS PROPFIND get TRACE CONNECT G{T
`)

export const STARTS = words(`
  /open /open/ /open/x /admin /admin/ /x / // /OPEN /open; /open%2f /%6fpen /static /oauth2/auth /ported /open/open/
`)

export const PIECES = words(String.raw`
  / // /. /.. /../ /./ . .. .; ..; ;x ;x=y \ \..\ %2e %2E %2e%2e .%2e %2f %2F %5c %252e %252f %25252e %255c
  %20 %09 %0a %0d %00 %1f %7f %c2%85 %c2%a0 %e3%80%80 %c0%ae %c0%af %ff %u002e %zz % %3b %3f %23 %25 ? #
  + ~ : @ ! * | " <
  admin /admin /admin/x admin/x open /open x a.b Admin %61dmin ad%6din admin%20 admin%00 ..%2fadmin %2fadmin /../admin
  /..;/admin
`)

export const OTHER_HOSTS = [
  'status.example.com',
  AUTH,
  `${APP}:443`,
  `${APP}:8443`,
  `${APP}.`,
  'WIKI.example.com',
  `x@${APP}`,
  '',
  '127.0.0.1',
  `${APP},status.example.com`,
  `status.example.com, ${APP}`,
  `${APP}:`,
  `${APP}:0443`,
  `${APP} `,
  `\t${APP}`,
  `${APP}/`,
  `${APP}#`,
  `${APP}\\`,
  'wiki.example.com%2e',
]

export const SCHEMES = ['https', 'http', 'HTTPS', 'ws', 'ftp']

/** RFC 9110 section 5.6.2 has these in names besides letters, digits and the hyphen. */
export const ODD = [..."!#$%&'*+.^_`|~"]

export const NAMED_IN_CONNECTION = [
  ...IDENTITY_HEADERS,
  'close',
  'keep-alive',
  'Cookie',
  'Host',
  'X-Forwarded-For',
  'Upgrade',
]

export const TARGETS = [
  'X-Forwarded-Uri: /open/forged',
  `X-Original-URL: https://${APP}/open/forged`,
  'X-Forwarded-Method: HEAD',
  'X-Forwarded-Host: status.example.com',
  'X-Forwarded-Proto: http',
  'Forwarded: for=forged;host=status.example.com',
  'X-Rewrite-URL: /open/forged',
  'X-Forwarded-Port: 8443',
  'X-Real-IP: forged',
]

export const OTHERS = [
  'Content-Type: text/plain',
  'Expect: 100-continue',
  'TE: trailers',
  'Trailer: Remote-User',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'Range: bytes=0-1',
  'Max-Forwards: 0',
]

export const FRAMING = [
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: 5, 5',
  'Content-Length: +5',
  'Content-Length: 0x5',
  'Content-Length: 300',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding : chunked',
  'transfer_encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
]

export const BROKEN = [
  'X-A: b\r\n Remote-User: forged',
  'X-A: b\nRemote-User: forged',
  'Remote-User : forged',
  ' Remote-User: forged',
  'X-A: b\rRemote-User: forged',
  'X-A: \x00',
  ': x',
  'nonsense',
]

export const STRANGERS_COOKIES = ['', 'theme=dark', '__Secure-gatehouse_session=forged', '__Host-gatehouse_session=x']
export const OTHER_COOKIES = ['', '', 'theme=dark; ', '__Secure-gatehouse_session=; ', 'gatehouse_session=x; ']
