// `gatehouse serve`: runs until it is told to stop, then finishes what is under way.
import { formatProblem } from '../config/load.js'
import { GatehouseError } from '../core/errors.js'
import { errorFacts } from '../http/errors.js'
import { createLogger } from '../log.js'
import { startGateway } from '../server.js'
import { EXIT, readConfig, type CommonOptions } from './context.js'

export async function serve(options: CommonOptions & { readonly migrate?: boolean }): Promise<number> {
  const { config, warnings, hash, file } = readConfig(options)
  const log = createLogger(config.log)
  for (const warning of warnings) log.warn({ place: `${warning.file}:${warning.line}:${warning.column}`, remedy: warning.remedy }, formatProblem(warning).split('\n')[0])
  const stopped = new Promise<string>((resolve) => { for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve) })
  process.on('SIGHUP', () => log.warn('SIGHUP: this version reads its configuration at start only; restart it to apply changes'))
  try {
    const gateway = await startGateway(config, { log, migrate: options.migrate ?? true })
    log.info({ file, hash }, 'configuration in force')
    log.info({ signal: await stopped }, 'stopping')
    await gateway.close()
    return EXIT.ok
  } catch (error) {
    log.fatal(error instanceof GatehouseError ? errorFacts(error) : { err: error }, 'Gatehouse could not start')
    throw error
  }
}
