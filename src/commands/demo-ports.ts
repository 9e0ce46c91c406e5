// The ports of the demo, all on loopback.
import { GatehouseError } from '../core/errors.js'
import { freePort } from '../net/free-port.js'

const DEFAULT_PORT = 8080

export interface DemoPorts {
  readonly network: number
  readonly circuits: number
  readonly gateway: number
}

/** @param requested the port of the network application: if it is in use, the demo fails with `port_unusable` */
export async function chooseDemoPorts(requested: number | undefined): Promise<DemoPorts> {
  return { network: await choosePort(requested), circuits: await freePort(), gateway: await freePort() }
}

async function choosePort(requested: number | undefined): Promise<number> {
  const port = requested ?? DEFAULT_PORT
  try {
    return await freePort(port)
  } catch (cause) {
    if (requested === undefined) return await freePort()
    const command = process.env.npm_lifecycle_event === 'demo' ? 'npm run demo --' : 'gatehouse demo'
    throw new GatehouseError('port_unusable', {
      cause,
      detail: `port ${port} is in use`,
      remedy: `Give another one: ${command} --port 8099`,
    })
  }
}
