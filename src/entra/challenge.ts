// What Graph asks for in `WWW-Authenticate` where a token is no longer enough (continuous access evaluation). Several
// challenges share one header, and quoted values hold commas: RFC 9110 section 11.6.1.
import { isRecord } from '../core/is-record.js'
import { jsonOf } from './http-client.js'

const MAX_CLAIMS = 4_096

interface Challenge {
  readonly scheme: string
  readonly parameters: Map<string, string>
}

/** The claims to ask the authorize endpoint for, as JSON; undefined where nothing of the kind is asked. */
export function claimsChallenge(header: string | undefined): string | undefined {
  const asked = challenges(header ?? '').find(({ scheme, parameters }) =>
    scheme === 'bearer' && parameters.get('error') === 'insufficient_claims'
  )
  return asClaims(Buffer.from(asked?.parameters.get('claims') ?? '', 'base64').toString('utf8'))
}

/** A claims request as it may be passed on: a JSON object of reasonable size (OpenID Connect Core section 5.5). */
export function asClaims(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > MAX_CLAIMS) return undefined
  const value = jsonOf(text)
  return isRecord(value) ? JSON.stringify(value) : undefined
}

function challenges(header: string): Challenge[] {
  const found: Challenge[] = []
  for (
    const [, scheme, name = '', value = ''] of header.matchAll(
      /(?:^|,)\s*(?:([\w-]+)\s+)?([\w-]+)="((?:[^"\\]|\\.)*)"/g,
    )
  ) {
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: new Map() })
    found.at(-1)?.parameters.set(name.toLowerCase(), value.replace(/\\(.)/g, '$1'))
  }
  return found
}
