// Envoy on the shipped file, in which addresses and certificate are replaced.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { newestProxy, run, type Running } from './programs.js'
import { folder } from './proxies.js'
import { portOf, replaced, type ProxySite } from './proxies-scene.js'

export async function startEnvoy(t: Test, site: ProxySite): Promise<Running | undefined> {
  const envoy = newestProxy(t, 'envoy')
  if (envoy === undefined) return undefined
  const file = join(folder(t, 'envoy'), 'envoy.yaml')
  writeFileSync(
    file,
    replaced('config/proxies/envoy.yaml', {
      'address: 0.0.0.0': [1, `address: ${site.address}`],
      '/etc/envoy/cert.pem': [1, site.tls.certificate],
      '/etc/envoy/key.pem': [1, site.tls.key],
      'address: gatehouse, port_value: 4180': [1, `address: 127.0.0.1, port_value: ${portOf(site.gateway)}`],
      'address: wiki, port_value: 8080': [1, `address: 127.0.0.1, port_value: ${portOf(site.upstream)}`],
    }),
  )
  // Without a base of its own two Envoys of one machine collide.
  return await run(t, envoy, ['-c', file, '--use-dynamic-base-id', '--concurrency', '1'], {
    host: site.address,
    port: 443,
  })
}
