// The downstream applications on their own, for the compose file: node dist/demo/downstream-main.js
import { APPLICATIONS } from './applications.js'
import { startDownstream } from './downstream.js'

const {
  DEMO_APP_HOST: host = '127.0.0.1',
  DEMO_APP_PORT = '9000',
  DEMO_CIRCUITS_PORT = '9001',
  DEMO_PUBLIC_URL: gatewayUrl = 'http://127.0.0.1:8081',
  DEMO_NETWORK_URL = 'http://127.0.0.1:8080/',
  DEMO_CIRCUITS_URL = 'http://127.0.0.1:8084/',
} = process.env
const { network, circuits } = APPLICATIONS
const running = [
  await startDownstream({
    host,
    port: Number(DEMO_APP_PORT),
    gatewayUrl,
    application: network,
    others: [{ name: circuits.name, url: DEMO_CIRCUITS_URL }],
  }),
  await startDownstream({
    host,
    port: Number(DEMO_CIRCUITS_PORT),
    gatewayUrl,
    application: circuits,
    others: [{ name: network.name, url: DEMO_NETWORK_URL }],
  }),
]
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    Promise.all(running.map((app) => app.close())).catch(() => {
      process.exitCode = 1
    })
  })
}
