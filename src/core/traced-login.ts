// Spans of a login: one for the identity source and one for each step. Without tracing the parts are returned as is.
import type { IdentitySource } from './identity.js'
import type { NamedStep } from './pipeline/pipeline.js'
import type { Tracer } from './tracer.js'

export function tracedSource(source: IdentitySource, tracer: Tracer): IdentitySource {
  if (!tracer.enabled) return source
  return {
    identify: (grant, now) =>
      tracer.part('identify', {}, async (span) => {
        const person = await source.identify(grant, now)
        span.set({
          'gatehouse.entra_groups': person.memberships.groupIds.length,
          'gatehouse.graph_requests': person.memberships.requests,
        })
        return person
      }),
  }
}

export function tracedSteps(steps: readonly NamedStep[], tracer: Tracer): readonly NamedStep[] {
  if (!tracer.enabled) return steps
  return steps.map(({ name, run }) => ({
    name,
    run: (context) => tracer.part(`step ${name}`, {}, async () => run(context)),
  }))
}
