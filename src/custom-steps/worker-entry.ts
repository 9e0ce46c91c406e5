// What runs in a step's process. The process gets the text of `serveStep` and nothing else: it may read no file, so
// this function must stand on its own body, and on nothing that is imported or declared around it.

/** What the process says: that the module is loaded, or what came of a question. One JSON text a line. */
export type Said =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable', readonly why: string }
  | { readonly kind: 'answer', readonly id: number, readonly answer?: unknown }
  | { readonly kind: 'threw', readonly id: number, readonly why: string }

/** What it is told: the module first, then questions. One JSON text a line. */
export type Told = { readonly source: string } | { readonly id: number, readonly input: unknown }

/** Reads what it is told from stdin and says what comes of it on file descriptor 3. Ends when stdin does. */
export async function serveStep(): Promise<void> {
  const { Socket } = await import('node:net')
  const { createInterface } = await import('node:readline')
  const exit = process.exit.bind(process)
  const describe = (error: unknown): string => {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : 'something that is no Error'
    return text.replaceAll(/data:text\/javascript;base64,[\w+/=]+/g, 'the module').slice(0, 300)
  }
  const output = new Socket({ fd: 3, readable: false, writable: true })
  const say = (said: Said): void => {
    output.write(`${JSON.stringify(said)}\n`)
  }

  // The permission model knows nothing of signals: one would open the debugger of the gateway, another one ends it.
  const outward = ['kill', '_kill', '_debugProcess', '_debugEnd', 'binding', '_linkedBinding', 'dlopen', 'execve']
  for (const name of outward) Reflect.deleteProperty(process, name) // guard: adv-step-signals

  let step: ((input: unknown) => unknown) | undefined
  const load = async (source: string): Promise<void> => {
    const url = `data:text/javascript;base64,${Buffer.from(source).toString('base64')}`
    const module = await import(url) as { readonly default?: unknown }
    if (typeof module.default !== 'function') throw new TypeError('it has no default export that is a function')
    step = module.default as (input: unknown) => unknown
    say({ kind: 'ready' })
  }
  // What cannot be copied (a function, a socket) is thrown here, and not left out without a word.
  const answer = async (input: unknown): Promise<unknown> => structuredClone(await step?.(input))
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const told = JSON.parse(line) as Told
    if ('source' in told) load(told.source).catch((error: unknown) => say({ kind: 'unusable', why: describe(error) }))
    else {
      answer(told.input).then((answer) => say({ kind: 'answer', id: told.id, answer }))
        .catch((error: unknown) => say({ kind: 'threw', id: told.id, why: describe(error) }))
    }
  })
  lines.on('close', () => exit(0)) // the gateway has ended
  output.on('error', () => exit(0))
}
