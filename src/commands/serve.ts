// `gatehouse serve`: runs until it is told to stop, then finishes what is under way.
import { isatty } from 'node:tty'
import type { Logger } from 'pino'
import { createLiveConfig, type ReloadReport } from '../config/live.js'
import { formatProblem, type Problem } from '../config/load.js'
import { thrownFacts } from '../core/errors.js'
import { createLogger, logsText } from '../telemetry/logger.js'
import { startGateway } from '../server.js'
import { createCustomSteps } from '../custom-steps/registry.js'
import { startTracing } from '../telemetry/tracing/tracing.js'
import { VERSION } from '../version.js'
import { EXIT, readConfig, type CommonOptions } from './context.js'

const WATCH_EVERY_MS = 2_000
const atTerminal = (): boolean => [0, 1, 2].some((stream) => isatty(stream))

export async function serve(options: CommonOptions & { readonly migrate?: boolean }): Promise<number> {
  const loaded = readConfig(options)
  const { config, warnings, hash, file } = loaded
  const tracing = await startTracing(process.env, VERSION)
  const log = createLogger(config.log, undefined, tracing.logFields)
  warn(log, warnings)
  tracing.tellTo(log)
  let stop: (signal: string) => void = () => {}
  const stopped = new Promise<string>((resolve) => {
    stop = resolve
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  const steps = createCustomSteps({ log })
  const live = createLiveConfig({
    initial: loaded,
    load: () => readConfig(options),
    prepare: ({ customSteps }) => steps.prepare(customSteps),
    report: reloadReport(log, file),
  })
  // It comes from whoever wants a reload, and from a terminal that is closed: that one is no terminal any more.
  const startedAtTerminal = atTerminal()
  const onHangup = (signal: string): void => {
    if (startedAtTerminal && !atTerminal()) stop(signal)
    else void live.reload()
  }
  process.on('SIGHUP', onHangup)
  try {
    const gateway = await startGateway(live.current, {
      log,
      steps,
      migrate: options.migrate ?? true,
      tracing,
      reload: live.state,
    })
    live.watch(WATCH_EVERY_MS)
    log.info({ file, hash }, 'configuration in force')
    log.info({ signal: await stopped }, 'stopping')
    await gateway.close()
    log.info('stopped')
    return EXIT.ok
  } catch (error) {
    // Once: in a log for programs, otherwise as every command prints it.
    if (logsText(config.log.format) || !log.isLevelEnabled('fatal')) throw error
    log.fatal(thrownFacts(error), 'Gatehouse could not start')
    return EXIT.failed
  } finally {
    live.close()
    await steps.close()
    process.off('SIGHUP', onHangup)
  }
}

function warn(log: Logger, warnings: readonly Problem[]): void {
  for (const warning of warnings) {
    log.warn(
      { place: `${warning.file}:${warning.line}:${warning.column}`, remedy: warning.remedy },
      formatProblem(warning).split('\n')[0],
    )
  }
}

function reloadReport(log: Logger, file: string): ReloadReport {
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
