// An application behind the demo's proxy, its gateway, and pages beside them and elsewhere, for a real Chromium.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { startDemoProxy } from '../../src/demo/proxy.js'
import { startChromium } from './chromium.js'
import { freePorts, startTestGateway, type TestGateway } from './gateway.js'
import { databaseFaultProxy, type DatabaseFaultProxy } from './tcp-fault-proxy.js'

export interface Place {
  readonly gateway: TestGateway
  readonly chromium: Browser
  /** The application, below the domain of the session's cookie. */
  readonly app: string
  /** The same application on a host that never gets the cookie. */
  readonly outside: string
  /** A page of another site, and one beside the application. */
  readonly elsewhere: string
  readonly portal: string
  readonly door: DatabaseFaultProxy
}

/** @returns undefined where no Chromium is installed */
export async function startPlace(t: Test): Promise<Place | undefined> {
  const chromium = await startChromium(t)
  if (!chromium) return undefined
  const [port = 0, proxy = 0] = await freePorts(2)
  const door = databaseFaultProxy(t)
  const publicUrl = `http://auth.apps.localhost:${port}`
  const gateway = await startTestGateway(t, {
    app: { redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`] },
    config: {
      server: {
        publicUrl,
        port,
        redirectDomains: ['.apps.localhost:*', '127.0.0.1:*'],
        contact: 'it-help@contoso.example',
      },
      session: { cookieDomain: '.apps.localhost' },
      applications: [{ host: `wiki.apps.localhost:${proxy}`, name: 'Wiki of Contoso', icon: 'wiki.svg' }],
      branding: { name: 'Contoso Network Operations', color: '#b45309', logoFile: 'wiki.svg' },
      access: { rules: [{ hosts: ['wiki.apps.localhost'], paths: ['/staff'], allow: { staff: true } }] },
    },
    files: {
      'wiki.svg': '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8"/></svg>',
    },
    throughProxy: door.throughProxy,
  })
  const upstream = await startApplication(t)
  const demo = await startDemoProxy({
    host: '127.0.0.1',
    port: proxy,
    gateway: `http://127.0.0.1:${port}`,
    upstream: `http://127.0.0.1:${upstream}`,
  })
  t.teardown(() => demo.close())
  const app = `http://wiki.apps.localhost:${proxy}`
  const beside = await listening(t, (path) => {
    const { searchParams } = new URL(path, 'http://x')
    if (path === '/') return `<a href="${gateway.url}/oauth2/sign_out">x</a>`
    return `<p>A page of a portal.</p><iframe src="${app}${searchParams.get('path')}" width="100%" height="520">`
  })
  return {
    gateway,
    chromium,
    app,
    door,
    outside: `http://127.0.0.1:${proxy}`,
    elsewhere: `http://127.0.0.1:${beside}/`,
    portal: `http://portal.apps.localhost:${beside}/?path=`,
  }
}

/** A page of a new browser, which has signed in where a person is named. */
export async function pageOf({ chromium, gateway }: Place, person?: string): Promise<Page> {
  const page = await (await chromium.newContext()).newPage()
  page.setDefaultTimeout(10_000)
  if (person === undefined) return page
  await page.goto(`${gateway.url}/oauth2/start`)
  await page.click(`[data-person="${person}"]`)
  await page.waitForURL(`${gateway.url}/`)
  return page
}

/** Every address is a page that asks for a part of it as htmx does, when its button is clicked. */
function startApplication(t: Test): Promise<number> {
  const script = `
    document.querySelector('button').onclick = async () => {
      const answer = await fetch('/part', { headers: { 'HX-Request': 'true' } })
      if (answer.headers.get('HX-Refresh') === 'true') location.reload()
      else document.querySelector('output').textContent = await answer.text()
    }`
  const page = `<button>x</button><output></output><script>${script}</script>`
  return listening(t, (path) => (path === '/part' ? 'the part' : page))
}

/** @returns the port of a server of pages */
async function listening(t: Test, pageAt: (path: string) => string): Promise<number> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/html').end(`<!doctype html>${pageAt(request.url ?? '/')}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}
