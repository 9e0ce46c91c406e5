// An application that knows nothing of Entra ID: it trusts the identity headers, as NetBox or Grafana behind a proxy
// would, and shows what it got.
import { createServer, type IncomingMessage } from 'node:http'
import type { DemoApplication } from './applications.js'
import { STYLE } from './downstream-style.js'

export interface DownstreamOptions {
  readonly host: string
  readonly port: number
  readonly application: DemoApplication
  /** The other applications, for the links. */
  readonly others?: readonly { readonly name: string, readonly url: string }[]
  /** Origin of the gateway, for the links. */
  readonly gatewayUrl: string
  /** Why the user has each group: only where application and gateway run in one process. */
  readonly why?: (username: string) => Promise<readonly { readonly right: string, readonly because: string }[]>
}

export interface Downstream {
  readonly url: string
  close(): Promise<void>
}

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}

export async function startDownstream(options: DownstreamOptions): Promise<Downstream> {
  const server = createServer((request, response) => {
    page(request, options).then((html) => {
      response.writeHead(200, HEADERS)
      response.end(request.method === 'HEAD' ? undefined : html)
    }, () => response.writeHead(500).end('The demo application failed.\n'))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port, options.host, resolve))
  const bound = server.address()
  return {
    url: `http://${options.host}:${typeof bound === 'object' && bound !== null ? bound.port : options.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function page(request: IncomingMessage, options: DownstreamOptions): Promise<string> {
  const { application, gatewayUrl } = options
  const header = (name: string) => decode(String(request.headers[name] ?? ''))
  const user = header('remote-user')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(application.name)} - demo application</title><link rel="icon" href="data:,">
<style>${STYLE}</style></head><body><main>
<p class="soft">${text(application.name)}, ${text(application.title)}<br>
${text(request.headers.host ?? '')}${text(request.url ?? '')}</p>
<h1>Hello <span data-field="name">${text(header('remote-name') || user)}</span></h1>
${areas(options)}
<dl><dt>Username</dt><dd data-field="user">${text(user)}</dd>
<dt>E-mail</dt><dd data-field="email">${text(header('remote-email')) || '–'}</dd>
<dt>E-mail verified</dt><dd data-field="email-verified">${text(header('x-auth-request-email-verified'))}</dd>
<dt>Staff</dt><dd data-field="staff">${text(header('x-auth-request-staff'))}</dd>
<dt>Superuser</dt><dd data-field="superuser">${text(header('x-auth-request-superuser'))}</dd></dl>
${groupList(request)}
${await reasons(user, options)}
<p class="links"><a href="${text(gatewayUrl)}/" data-action="gateway">Your session at Gatehouse</a>
<a href="${text(gatewayUrl)}/oauth2/sign_out" data-action="sign-out">Sign out</a></p>
${whatCame(request)}
</main></body></html>
`
}

function areas({ application, others = [] }: DownstreamOptions): string {
  const own = application.areas.map(({ path, name }) =>
    `<a href="${text(path)}" data-area="${text(path)}">${text(name)}</a>`
  )
  const elsewhere = others.map(({ name, url }) =>
    `<a href="${text(url)}" data-application="${text(name)}">${text(name)}</a>`
  )
  return `<p class="links">${[...own, ...elsewhere].join('\n')}</p>`
}

function groupList(request: IncomingMessage): string {
  const sent = String(request.headers['remote-groups'] ?? '').split(',')
  const groups = sent.filter((name) => name !== '').map(decode)
  const items = groups.map((name) => `<li data-group="${text(name)}">${text(name)}</li>`)
  return `<h2>Groups (${groups.length})</h2>
<ul data-field="groups">${items.join('')}</ul>${groups.length === 0 ? '<p class="soft">None.</p>' : ''}`
}

async function reasons(user: string, { why, gatewayUrl }: DownstreamOptions): Promise<string> {
  const known = await why?.(user) ?? []
  const items = known.map(({ right, because }) => `<li><b>${text(right)}</b> ${text(because)}</li>`)
  if (items.length > 0) return `<h2>Why</h2><ul data-field="why">${items.join('')}</ul>`
  return `<h2>Why</h2>
<p class="soft">Gatehouse knows: <a href="${text(gatewayUrl)}/">see your groups and their reasons</a>.</p>`
}

const OF_IDENTITY = /^(x-auth-request|remote|x-gatehouse|x_|remote_)/

function whatCame(request: IncomingMessage): string {
  const sent = Object.entries(request.headers).filter(([name]) => OF_IDENTITY.test(name))
  const rows = sent.map(([name, value]) => `<tr><th>${text(name)}</th><td>${text(String(value))}</td></tr>`)
  return `<h2>What the proxy sent</h2>
<table data-field="headers">${rows.join('')}</table>
<p class="soft">Cookies that reached the application:
<code data-field="cookies">${text(request.headers.cookie ?? '') || 'none'}</code></p>`
}

function text(value: string): string {
  return value.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
