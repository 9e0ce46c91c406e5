// The downstream application on its own, for the compose file: node dist/demo/downstream-main.js
import { startDownstream } from './downstream.js'

const { DEMO_APP_HOST = '127.0.0.1', DEMO_APP_PORT = '9000', DEMO_PUBLIC_URL = 'http://127.0.0.1:8081' } = process.env
const app = await startDownstream({ host: DEMO_APP_HOST, port: Number(DEMO_APP_PORT), gatewayUrl: DEMO_PUBLIC_URL })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { app.close().catch(() => { process.exitCode = 1 }) })
