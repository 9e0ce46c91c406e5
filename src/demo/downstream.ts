// An application that knows nothing of Entra ID: it believes the identity headers, as NetBox or Grafana behind a proxy
// would, and shows what it got.
import { createServer, type IncomingMessage } from 'node:http'

export interface DownstreamOptions {
  readonly host: string
  readonly port: number
  /** Origin of the gateway, for the links. */
  readonly gatewayUrl: string
  /** Why somebody has each of their groups: only where application and gateway run in one process. */
  readonly why?: (username: string) => Promise<readonly { readonly right: string, readonly because: string }[]>
}

export interface Downstream { readonly url: string, close(): Promise<void> }

export async function startDownstream(options: DownstreamOptions): Promise<Downstream> {
  const server = createServer((request, response) => {
    page(request, options).then((html) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'" })
      response.end(request.method === 'HEAD' ? undefined : html)
    }, () => response.writeHead(500).end('The demo application failed.\n'))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port, options.host, resolve))
  const bound = server.address()
  return {
    url: `http://${options.host}:${typeof bound === 'object' && bound !== null ? bound.port : options.port}`,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
}

async function page(request: IncomingMessage, { gatewayUrl, why }: DownstreamOptions): Promise<string> {
  const header = (name: string) => decode(String(request.headers[name] ?? ''))
  const user = header('remote-user')
  const groups = String(request.headers['remote-groups'] ?? '').split(',').filter((name) => name !== '').map(decode)
  const reasons = await why?.(user) ?? []
  const identity = Object.entries(request.headers).filter(([name]) => /^(x-auth-request|remote|x-gatehouse|x_|remote_)/.test(name))
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Demo application</title>
<style>${STYLE}</style></head><body><main>
<p class="soft">Demo application at ${text(request.headers.host ?? '')}${text(request.url ?? '')}</p>
<h1>Hello <span data-field="name">${text(header('remote-name') || user)}</span></h1>
<dl><dt>Username</dt><dd data-field="user">${text(user)}</dd><dt>E-mail</dt><dd data-field="email">${text(header('remote-email')) || '–'}</dd>
<dt>E-mail verified</dt><dd data-field="email-verified">${text(header('x-auth-request-email-verified'))}</dd>
<dt>Staff</dt><dd data-field="staff">${text(header('x-auth-request-staff'))}</dd><dt>Superuser</dt><dd data-field="superuser">${text(header('x-auth-request-superuser'))}</dd></dl>
<h2>Groups (${groups.length})</h2>
<ul data-field="groups">${groups.map((name) => `<li data-group="${text(name)}">${text(name)}</li>`).join('')}</ul>${groups.length === 0 ? '<p class="soft">None.</p>' : ''}
<h2>Why</h2>
${reasons.length > 0 ? `<ul data-field="why">${reasons.map(({ right, because }) => `<li><b>${text(right)}</b> ${text(because)}</li>`).join('')}</ul>` : `<p class="soft">Gatehouse knows: <a href="${text(gatewayUrl)}/">see your groups and their reasons</a>.</p>`}
<p class="links"><a href="${text(gatewayUrl)}/" data-action="gateway">Your session at Gatehouse</a> <a href="${text(gatewayUrl)}/oauth2/sign_out?rd=${encodeURIComponent(`http://${request.headers.host ?? ''}/`)}" data-action="sign-out">Sign out</a></p>
<h2>What the proxy sent</h2>
<table data-field="headers">${identity.map(([name, value]) => `<tr><th>${text(name)}</th><td>${text(String(value))}</td></tr>`).join('')}</table>
<p class="soft">Cookies that reached the application: <code data-field="cookies">${text(request.headers.cookie ?? '') || 'none'}</code></p>
</main></body></html>
`
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

const STYLE = `:root{color-scheme:light dark;--ink:#1d2433;--soft:#5b667d;--line:#d8deea;--paper:#fbfcfe;--link:#1f5fbf}
@media (prefers-color-scheme:dark){:root{--ink:#e8edf6;--soft:#a3aec4;--line:#323c51;--paper:#141924;--link:#7db0ff}}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}main{max-width:46rem;margin:0 auto;padding:2rem 1.25rem;overflow-wrap:anywhere}
h1{margin:.2rem 0 1rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.25rem}dt,.soft{color:var(--soft)}dd{margin:0}
ul{padding-left:1.2rem}table{border-collapse:collapse;font:.82rem/1.4 ui-monospace,Menlo,Consolas,monospace;width:100%}th,td{text-align:left;border-top:1px solid var(--line);padding:.25rem .5rem .25rem 0;vertical-align:top;overflow-wrap:anywhere}th{font-weight:500;white-space:nowrap}
a{color:var(--link)}.links a{margin-right:1.25rem}`
