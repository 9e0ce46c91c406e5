// What is derived from the reloadable half of the configuration, once for each configuration in force.
import { asWritten } from './config/as-written.js'
import type { Config } from './config/config.js'
import type { ReloadableConfig } from './config/running-config.js'
import { compileAccess, createPathInterpreter } from './core/access.js'
import { countedKeys } from './core/activity.js'
import type { ActivityCounters } from './core/activity-counters.js'
import { withAddresses } from './core/applications.js'
import { createGroupMapping } from './core/mapping.js'
import type { CustomStepFile } from './core/pipeline/custom-step.js'
import { namedSteps } from './core/pipeline/index.js'
import type { NamedStep } from './core/pipeline/pipeline.js'
import { compileShadowRules } from './core/shadow-rules.js'
import { tracedSteps } from './core/traced-login.js'
import type { Tracer } from './core/tracer.js'
import type { AccessInForce } from './http/forward-auth/authorizer.js'
import { compileHeaders } from './http/forward-auth/header-template.js'
import { createTheme, type Theme } from './http/pages/theme.js'
import { networkTest } from './net/networks.js'

export function accessInForce(
  config: ReloadableConfig,
  counters?: Pick<ActivityCounters, 'rules'>,
): AccessInForce {
  const { access, headers } = config
  const shown = asWritten(config).access
  const hits = counters?.rules(countedKeys(access.rules)) ?? []
  const interpretationsOf = createPathInterpreter()
  return {
    policy: compileAccess(access, networkTest, () => hits, interpretationsOf, shown),
    shadows: compileShadowRules(access, { networkTest, counters: hits, interpretationsOf, shown }),
    headers: compileHeaders(headers),
  }
}

export function themeInForce({ branding, applications, images }: ReloadableConfig, publicUrl: string): Theme {
  const imageAt = (path: string | undefined) => images.find((image) => image.path === path)
  return createTheme({
    branding: { name: branding.name, color: branding.color, logo: imageAt(branding.logo ?? branding.logoFile) },
    applications: withAddresses(
      applications.map(({ host, name, icon }) => ({ host, name, icon: imageAt(icon) })),
      new URL(publicUrl).protocol,
    ),
  })
}

/** What is derived from a configuration on its first use must not fail there. */
export function requireUsable(config: Config): void {
  accessInForce(config)
  themeInForce(config, config.server.publicUrl)
}

export interface PipelineDeps {
  /** A step that is a module beside the configuration. */
  readonly customStep: (file: CustomStepFile) => NamedStep
  readonly tracer: Tracer
}

export function pipelineInForce(config: ReloadableConfig, { customStep, tracer }: PipelineDeps) {
  return {
    steps: tracedSteps(namedSteps(config.pipeline, config.customSteps.map(customStep)), tracer),
    settings: {
      username: config.username,
      usernameUnverified: config.usernameUnverified,
      reservedUsernames: config.reservedUsernames,
      associateByEmail: config.associateByEmail,
      authAllowed: config.authAllowed,
      defaultGroups: config.defaultGroups,
      requireMappedGroup: config.requireMappedGroup,
      mapping: createGroupMapping(config.groupMapping),
    },
  }
}
