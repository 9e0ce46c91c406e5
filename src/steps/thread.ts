// The inside of a step's thread: loads the module from the bytes it is handed and answers one question at a time or many.
// It has no environment, no token and no connection of Gatehouse's.
import { parentPort, workerData } from 'node:worker_threads'

/** What the thread says: that the module is loaded, or what came of a question. */
export type Said =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable', readonly why: string }
  | { readonly kind: 'answer', readonly id: number, readonly answer: unknown }
  | { readonly kind: 'threw', readonly id: number, readonly why: string }

export interface Asked { readonly id: number, readonly input: unknown }

const { source } = workerData as { readonly source: string }
const say = (said: Said): void => parentPort?.postMessage(said)

try {
  const module = await import(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`) as { readonly default?: unknown }
  const step = module.default
  if (typeof step !== 'function') throw new TypeError('it has no default export that is a function')
  parentPort?.on('message', ({ id, input }: Asked) => {
    // The answer is copied on its way out: what cannot be copied (a function, a socket) is thrown here.
    Promise.resolve(input).then((given) => step(given) as unknown).then((answer) => say({ kind: 'answer', id, answer })).catch((error: unknown) => say({ kind: 'threw', id, why: describe(error) }))
  })
  say({ kind: 'ready' })
} catch (error) {
  say({ kind: 'unusable', why: describe(error) })
}

function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : 'something that is no Error'
  return text.replaceAll(/data:text\/javascript;base64,[\w+/=]+/g, 'the module').slice(0, 300)
}
