// `gatehouse serve`: runs until a signal stops it, then completes the requests in progress.
import { isatty } from 'node:tty'
import type { Logger } from 'pino'
import { createConfigReloader, type ReloadReporter } from '../config/reloader.js'
import { formatProblem, type ConfigProblem } from '../config/load.js'
import { runningConfig } from '../config/running-config.js'
import { thrownFacts } from '../core/errors.js'
import { createLogger, logsText } from '../telemetry/logger.js'
import { startGateway } from '../server.js'
import { createCustomSteps } from '../custom-steps/registry.js'
import { startTracing } from '../telemetry/tracing/tracing.js'
import { VERSION } from '../version.js'
import { EXIT, readConfig, type CommonOptions } from './context.js'
import { createStopSignal } from './stop-signal.js'

const WATCH_EVERY_MS = 2_000
const atTerminal = (): boolean => [0, 1, 2].some((stream) => isatty(stream))

export async function serve(options: CommonOptions & { readonly migrate?: boolean }): Promise<number> {
  const loaded = readConfig(options)
  const { config, warnings, hash, file } = loaded
  const tracing = await startTracing(process.env, VERSION)
  const log = createLogger(config.log, undefined, tracing.logFields)
  warn(log, warnings)
  tracing.reportTo(log)
  const stopSignal = createStopSignal(['SIGINT', 'SIGTERM'])
  const steps = createCustomSteps({ log })
  const reloader = createConfigReloader({
    initial: loaded,
    load: () => readConfig(options),
    prepare: ({ customSteps }) => steps.prepare(customSteps),
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
    const gateway = await startGateway(runningConfig(reloader.current), {
      log,
      customSteps: steps,
      migrate: options.migrate ?? true,
      tracing,
      reload: reloader.state,
    })
    reloader.watch(WATCH_EVERY_MS)
    log.info({ file, hash }, 'configuration in force')
    log.info({ signal: await stopSignal.received }, 'stopping')
    await gateway.close()
    log.info('stopped')
    return EXIT.ok
  } catch (error) {
    // Reported once: in a JSON log as a log line, otherwise as every command prints a failure.
    if (logsText(config.log.format) || !log.isLevelEnabled('fatal')) throw error
    log.fatal(thrownFacts(error), 'Gatehouse could not start')
    return EXIT.failed
  } finally {
    reloader.close()
    await steps.close()
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
