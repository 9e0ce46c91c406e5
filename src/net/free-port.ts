import { createServer } from 'node:net'

/**
 * @param port the port that must be free; 0 chooses one
 * @returns a port of 127.0.0.1 that was free a moment ago
 * @throws what listening on it says, EADDRINUSE for example
 */
export function freePort(port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}
