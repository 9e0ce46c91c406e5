// The program of a step's process. The process gets the source text of `serveStep` and may read no file, so the
// function must not use anything that is imported or declared outside its body.

/** What the process sends: whether the module is loaded, and the result of each call. One JSON text per line. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable', readonly reason: string }
  | { readonly kind: 'result', readonly id: number, readonly result?: unknown }
  | { readonly kind: 'threw', readonly id: number, readonly reason: string }

/** What the process receives: first the module, then calls. One JSON text per line. */
export type WorkerRequest = { readonly source: string } | { readonly id: number, readonly input: unknown }

/** Reads requests from stdin and writes messages to file descriptor 3. Exits when stdin ends. */
export async function serveStep(): Promise<void> {
  const { Socket } = await import('node:net')
  const { createInterface } = await import('node:readline')
  const exit = process.exit.bind(process)
  const describe = (error: unknown): string => {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : 'a value that is not an Error'
    return text.replaceAll(/data:text\/javascript;base64,[\w+/=]+/g, 'the module').slice(0, 300)
  }
  const output = new Socket({ fd: 3, readable: false, writable: true })
  const send = (message: WorkerMessage): void => {
    output.write(`${JSON.stringify(message)}\n`)
  }

  // The permission model does not restrict signals: SIGUSR1 would open the debugger of the gateway, SIGKILL ends it.
  const outward = ['kill', '_kill', '_debugProcess', '_debugEnd', 'binding', '_linkedBinding', 'dlopen', 'execve']
  for (const name of outward) Reflect.deleteProperty(process, name) // guard: adv-step-signals

  let step: ((input: unknown) => unknown) | undefined
  const load = async (source: string): Promise<void> => {
    const url = `data:text/javascript;base64,${Buffer.from(source).toString('base64')}`
    const module = await import(url) as { readonly default?: unknown }
    if (typeof module.default !== 'function') throw new TypeError('it has no default export that is a function')
    step = module.default as (input: unknown) => unknown
    send({ kind: 'ready' })
  }
  // structuredClone throws for a function or a socket, which JSON.stringify would leave out without an error.
  const call = async (input: unknown): Promise<unknown> => structuredClone(await step?.(input))
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const request = JSON.parse(line) as WorkerRequest
    if ('source' in request) {
      load(request.source).catch((error: unknown) => send({ kind: 'unusable', reason: describe(error) }))
      return
    }
    const { id, input } = request
    call(input).then((result) => send({ kind: 'result', id, result }))
      .catch((error: unknown) => send({ kind: 'threw', id, reason: describe(error) }))
  })
  lines.on('close', () => exit(0)) // the gateway has ended
  output.on('error', () => exit(0))
}
