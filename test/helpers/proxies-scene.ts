// What the tests of real proxies have in common: one gateway, one application that records what reaches it, one
// certificate; and every proxy on port 443 of a loopback address of its own, so that the host names of the shipped
// files can stay.
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Agent, buildConnector } from 'undici'
import { createServerIdentity } from '../../src/demo/entra/certificates.js'
import { createBrowser, type Browser } from './browser.js'
import { merge, startTestGateway, type TestGateway, type TestGatewayOptions } from './gateway.js'
import { folder } from './proxies.js'
import { startUpstream, type Received } from './upstream.js'

export const APP = 'wiki.example.com'
export const AUTH = 'auth.example.com'

export interface ServerIdentityFiles {
  readonly certificate: string
  readonly key: string
}

export interface ProxySite {
  /** A loopback address on which nothing else listens. */
  readonly address: string
  /** host:port */
  readonly gateway: string
  readonly upstream: string
  readonly tls: ServerIdentityFiles
}

export interface Scene {
  readonly gateway: TestGateway
  /** What reached the application. */
  readonly received: Received[]
  readonly tls: ServerIdentityFiles
  /** host:port */
  readonly upstream: string
}

export async function startScene(t: Test, { config = {}, ...options }: TestGatewayOptions = {}): Promise<Scene> {
  const { received, port } = await startUpstream(t)
  const publicUrl = `https://${AUTH}`
  const gateway = await startTestGateway(t, {
    app: { redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`] },
    config: merge(
      { server: { publicUrl, redirectDomains: ['.example.com'] }, session: { cookieDomain: '.example.com' } },
      config,
    ),
    ...options,
  })
  return { gateway, received, tls: identityFiles(t), upstream: `127.0.0.1:${port}` }
}

export function identityFiles(t: Test): ServerIdentityFiles {
  const home = folder(t, 'tls')
  const { cert, key: privateKey } = createServerIdentity([APP, AUTH, 'status.example.com'])
  const [certificate, key] = [join(home, 'cert.pem'), join(home, 'key.pem')]
  writeFileSync(certificate, cert)
  writeFileSync(key, privateKey, { mode: 0o600 })
  return { certificate, key }
}

export const listeningOn = ({ gateway }: TestGateway): string =>
  `127.0.0.1:${(gateway.app.server.address() as { port: number }).port}`

export const portOf = (address: string): number => Number(address.split(':').at(-1))

/** @returns undefined where port 443 may not be bound: root, or a lowered net.ipv4.ip_unprivileged_port_start */
export async function loopbackAddress(): Promise<string | undefined> {
  for (let tries = 0; tries < 20; tries++) {
    const address = `127.${randomInt(64, 128)}.${randomInt(1, 255)}.${randomInt(1, 255)}`
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer().once('error', () => resolve(false))
      server.listen(443, address, () => server.close(() => resolve(true)))
    })
    if (free) return address
  }
  return undefined
}

/**
 * A shipped file with some strings replaced.
 * @param strings each with how often it occurs, so that a renamed line is noticed
 */
export function replaced(file: string, strings: Readonly<Record<string, readonly [number, string]>>): string {
  let text = readFileSync(file, 'utf8')
  for (const [from, [times, to]] of Object.entries(strings)) {
    const parts = text.split(from)
    if (parts.length !== times + 1) {
      throw new Error(`${file}: ${from} is there ${parts.length - 1} times, not ${times}`)
    }
    text = parts.join(to)
  }
  return text
}

/** A browser for which every host of example.com is at this address. */
export function browserAt(address: string): Browser {
  const connect = buildConnector({ rejectUnauthorized: false })
  const dispatcher = new Agent({
    keepAliveTimeout: 100,
    connect: (options, done) => {
      const ours = options.hostname.endsWith('.example.com')
      connect(ours ? { ...options, hostname: address, port: '443', servername: options.hostname } : options, done)
    },
  })
  return createBrowser({ dispatcher })
}
