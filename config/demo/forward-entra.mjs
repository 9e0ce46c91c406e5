// Lets the gateway of docker-compose.yml reach the simulated Entra ID at the address that browsers use: connections to
// 127.0.0.1:8082 and :8083 of the gateway's own container go to the container of DEMO_FORWARD_TO. Loaded with
// `node --import` into the gateway's process, whose worker threads load it as well.
import { connect, createServer } from 'node:net'
import { isMainThread } from 'node:worker_threads'

const PORTS = [8082, 8083]

function forward(port) {
  createServer((near) => {
    const far = connect(port, process.env.DEMO_FORWARD_TO)
    near.pipe(far).pipe(near)
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
  }).listen(port, '127.0.0.1').unref()
}

if (isMainThread) PORTS.forEach(forward)
