// `node dist/demo/entra/main.js`: the simulator with the demo people as a process of its own, for the demo's compose
// file.
import { randomBytes } from 'node:crypto'
import { createDirectory } from '../directory.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, seedDemoDirectory } from '../people.js'
import { createRegistration } from './registration.js'
import { startEntra, type EntraOptions } from './server.js'

function readOptions(env: NodeJS.ProcessEnv): EntraOptions {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const redirectUris = (env.ENTRA_REDIRECT_URIS ?? '').split(',').map((uri) => uri.trim()).filter(Boolean)
  if (redirectUris.length === 0) {
    throw new Error('ENTRA_REDIRECT_URIS is empty: give the redirect URIs of the application, separated by commas.')
  }
  return {
    directory,
    app: createRegistration({
      clientId: env.ENTRA_CLIENT_ID || DEMO_CLIENT_ID,
      redirectUris,
      secret: env.ENTRA_CLIENT_SECRET || randomBytes(24).toString('base64url'),
    }),
    host: env.ENTRA_HOST || '127.0.0.1',
    port: readPort(env, 'ENTRA_PORT', 8400),
    graphPort: readPort(env, 'ENTRA_GRAPH_PORT', 8401),
    allowOffLoopback: env.ENTRA_ALLOW_OFF_LOOPBACK === 'true',
    ...(env.ENTRA_PUBLIC_URL && { publicUrl: env.ENTRA_PUBLIC_URL }),
    ...(env.ENTRA_GRAPH_PUBLIC_URL && { graphPublicUrl: env.ENTRA_GRAPH_PUBLIC_URL }),
  }
}

function readPort(env: NodeJS.ProcessEnv, name: string, fallback: number) {
  const value = env[name] || String(fallback)
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65535) throw new Error(`${name} is no port: ${value}`)
  return Number(value)
}

try {
  const entra = await startEntra(readOptions(process.env))
  console.log(
    JSON.stringify({
      msg: 'simulated Entra ID is up',
      url: entra.url,
      graphUrl: entra.graphUrl,
      tenantId: entra.tenantId,
      clientId: entra.app.clientId,
    }),
  )
  const stop = () => {
    entra.close().then(() => process.exit(0), () => process.exit(1))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
