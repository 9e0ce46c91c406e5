// `gatehouse serve`: runs until a signal stops it, then completes the requests in progress. Alone, or with workers.
import { isatty } from 'node:tty'
import type { Logger } from 'pino'
import { createLoadingThread, type LoadedFile } from '../config/loading-thread.js'
import { createConfigReloader, type ReloadReporter } from '../config/reloader.js'
import { formatProblem, type ConfigProblem } from '../config/load.js'
import { MIN_POOL_OF_WORKER } from '../config/rules/storage.js'
import { thrownFacts } from '../core/errors.js'
import { createLogger, logsText, openLogOutput } from '../telemetry/logger.js'
import { noTracing, startTracing } from '../telemetry/tracing/tracing.js'
import { VERSION } from '../version.js'
import { workerCount } from '../workers/worker-count.js'
import { configFile, EXIT, readConfig, type CommonOptions } from './context.js'
import { serveAlone, serveWithWorkers } from './served.js'
import { createStopSignal } from './stop-signal.js'

const WATCH_EVERY_MS = 2_000
const atTerminal = (): boolean => [0, 1, 2].some((stream) => isatty(stream))

export async function serve(options: CommonOptions & { readonly migrate?: boolean }): Promise<number> {
  const loaded = readConfig(options)
  const { config, warnings, hash, file } = loaded
  const { count, limitedFrom } = workerCount(config)
  const tracing = count === 1 ? await startTracing(process.env, VERSION) : noTracing() // each worker has its own
  const output = openLogOutput(config.log)
  const log = createLogger(config.log, output.destination, tracing.logFields)
  warn(log, warnings)
  if (limitedFrom !== undefined) warnOfPool(log, { count, cpus: limitedFrom })
  tracing.reportTo(log)
  const stopSignal = createStopSignal(['SIGINT', 'SIGTERM'])
  const migrate = options.migrate ?? true
  const common = { log, migrate, current: () => reloader.current(), reload: () => reloader.state() }
  const several = { ...common, ...output, count, stopRequested: stopSignal.received }
  const served = count === 1 ? serveAlone({ ...common, tracing }) : serveWithWorkers(several)
  const reloader = createConfigReloader({
    initial: loaded,
    load: fileLoader(options),
    prepare: served.prepare,
    committed: served.commit,
    report: reloadReport(log, file),
  })
  // SIGHUP asks for a reload, but is also sent when the terminal is closed, after which no stream is a terminal.
  const startedAtTerminal = atTerminal()
  const onHangup = (signal: string): void => {
    if (startedAtTerminal && !atTerminal()) stopSignal.stop(signal) // guard: adv-serve-closed-terminal
    else void reloader.reload()
  }
  process.on('SIGHUP', onHangup)
  try {
    const running = await served.start()
    reloader.watch(WATCH_EVERY_MS)
    log.info({ file, hash }, 'configuration in force')
    const reason = await Promise.race([stopSignal.received, running.failed])
    if (typeof reason === 'string') log.info({ signal: reason }, 'stopping')
    else log.fatal(thrownFacts(reason), 'stopping, because the workers end again and again')
    await running.close()
    log.info('stopped')
    return typeof reason === 'string' ? EXIT.ok : EXIT.failed
  } catch (error) {
    // Reported once: in a JSON log as a log line, otherwise as every command prints a failure.
    if (logsText(config.log.format) || !log.isLevelEnabled('fatal')) throw error
    log.fatal(thrownFacts(error), 'Gatehouse could not start')
    return EXIT.failed
  } finally {
    reloader.close()
    await served.close()
    process.off('SIGHUP', onHangup)
  }
}
function warn(log: Logger, warnings: readonly ConfigProblem[]): void {
  for (const warning of warnings) {
    log.warn(
      { place: `${warning.file}:${warning.line}:${warning.column}`, remedy: warning.remedy },
      formatProblem(warning).split('\n')[0],
    )
  }
}

function warnOfPool(log: Logger, { count, cpus }: { readonly count: number, readonly cpus: number }): void {
  const least = cpus * MIN_POOL_OF_WORKER
  log.warn(
    { remedy: `Set database.poolSize to ${least} or more, or server.workers to ${count}.` },
    `server.workers: auto gives ${count} and not ${cpus}: database.poolSize is too small for more`,
  )
}

function fileLoader(options: CommonOptions): () => Promise<LoadedFile> {
  const thread = createLoadingThread()
  return async () => await thread.loadConfig(configFile(options), process.env)
}

function reloadReport(log: Logger, file: string): ReloadReporter {
  return {
    refused: (problems) =>
      log.error(
        { file, problems: problems.map(formatProblem) },
        'the changed configuration is refused whole; the one before stays in force',
      ),
    applied: ({ changes, needRestart, warnings, hash }) => {
      warn(log, warnings)
      if (changes.length > 0) {
        log.info(
          { file, hash, changes },
          `configuration reloaded: ${changes.length} ${
            changes.length === 1 ? 'change' : 'changes'
          }; rights change at each person's next login`,
        )
      }
      if (needRestart.length > 0) {
        log.warn({ file, paths: needRestart }, 'these keys changed in the file and need a restart to take effect')
      }
    },
    unchanged: () => log.info({ file }, 'the configuration is valid and nothing in it has changed'),
    secretRotated: () => log.info({ file }, 'the client secret was read again and is in force'),
    failed: (error) =>
      log.error(
        { ...thrownFacts(error), file },
        'the configuration could not be reloaded; the one before stays in force',
      ),
  }
}
