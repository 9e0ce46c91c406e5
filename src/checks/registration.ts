// The registration in Entra ID: addresses, optional claims, and when the credential expires. To read it, Graph requires
// Application.Read.All; without that permission most of it is only listed for a comparison by hand.
import { secretExpiresAt } from '../entra/credential-expiry.js'
import type { Inspection, Registration } from '../entra/inspection.js'
import { GatehouseError } from '../core/errors.js'
import { CLAIM_NAMES, registrationAddresses } from '../core/registration.js'
import { failure, type Check, type Finding } from './finding.js'

export interface RegistrationWish {
  readonly publicUrl: string
  readonly clientSecret: string | undefined
  /** Milliseconds since 1970; of the certificate, where there is one. */
  readonly certificateEndsAt: number | undefined
  /** authAllowed.guests is false, and the step runs. */
  readonly guestsRefused?: boolean
  /** admin.acrs is set. */
  readonly contextAsked?: boolean
  readonly now?: () => number
}

const SOON_MS = 30 * 86_400_000

export function registrationFits(
  wish: RegistrationWish,
  ask: Pick<Inspection, 'registration' | 'redirectRegistered'>,
): Check {
  const { certificateEndsAt, now = Date.now } = wish
  return async () => {
    const certificate = certificateEndsAt === undefined ? [] : [ends('the certificate', certificateEndsAt, now())]
    try {
      const found = await ask.registration()
      return [...addresses(wish, found), claims(wish, found), ...certificate, ...secretEnds(wish, found, now())]
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error
      return [await redirect(wish, ask), notSeen(wish, error), ...certificate]
    }
  }
}

function addresses({ publicUrl }: RegistrationWish, found: Registration): Finding[] {
  const { redirectUris, logoutUrl } = registrationAddresses(publicUrl)
  const missing = redirectUris.filter((uri) => !found.redirectUris.includes(uri))
  return [
    missing.length === 0
      ? { state: 'ok', code: 'redirect_uris', message: 'both redirect URIs are registered' }
      : {
        state: 'fail',
        code: 'redirect_uri_missing',
        message: `not registered as redirect URI: ${missing.join(' and ')}`,
        remedy: 'Add it exactly so under Authentication, platform Web.',
      },
    found.logoutUrl === logoutUrl
      ? { state: 'ok', code: 'logout_url', message: 'the front-channel logout URL is registered' }
      : {
        state: 'warn',
        code: 'logout_url_missing',
        message: 'signing out of Microsoft does not end sessions here',
        remedy: `Register the front-channel logout URL ${logoutUrl} under Authentication.`,
      },
  ]
}

function claims(wish: RegistrationWish, found: Registration): Finding {
  const { guestsRefused = false } = wish
  const missing = claimNames(wish).filter((name) => !found.idTokenClaims.includes(name))
  if (guestsRefused && missing.includes('acct')) { // guard: adv-acct-claim
    return {
      state: 'fail',
      code: 'acct_claim_missing',
      message: `no user can sign in: authAllowed.guests is false, and the optional claim acct is not in the ` +
        `ID token (missing: ${missing.join(', ')})`,
      remedy: 'Add acct under Token configuration, token type ID.',
    }
  }
  if (missing.length === 0) {
    return { state: 'ok', code: 'optional_claims', message: 'all optional claims are registered' }
  }
  return {
    state: 'warn',
    code: 'optional_claims_missing',
    message: `optional claims that are not in the ID token: ${missing.join(', ')}`,
    remedy: 'Add them under Token configuration, token type ID; docs/group-mapping.md describes each.',
  }
}

function claimNames({ contextAsked = false }: RegistrationWish): readonly string[] {
  return contextAsked ? [...CLAIM_NAMES, 'acrs'] : CLAIM_NAMES
}

function secretEnds({ clientSecret }: RegistrationWish, found: Registration, now: number): Finding[] {
  const last = clientSecret === undefined ? undefined : secretExpiresAt(clientSecret, found)
  return last === undefined ? [] : [ends('the client secret', last, now)]
}

function ends(what: string, at: number, now: number): Finding {
  const message = `${what} ${at < now ? 'expired' : 'expires'} on ${new Date(at).toISOString().slice(0, 10)}`
  if (at > now + SOON_MS) return { state: 'ok', code: 'credential_expiry', message }
  return {
    state: at < now ? 'fail' : 'warn',
    code: 'credential_expiry',
    message,
    remedy: 'Make a new one under Certificates & secrets, put it into the configured file, then remove the old one.',
  }
}

async function redirect(
  { publicUrl }: RegistrationWish,
  ask: Pick<Inspection, 'redirectRegistered'>,
): Promise<Finding> {
  const [uri] = registrationAddresses(publicUrl).redirectUris
  try {
    if (await ask.redirectRegistered()) {
      return { state: 'ok', code: 'redirect_uris', message: `Entra ID accepts the redirect URI ${uri}` }
    }
    return {
      state: 'skipped',
      code: 'redirect_uris',
      message: `the answer does not show whether ${uri} is registered`,
      remedy: 'Compare it under Authentication, platform Web.',
    }
  } catch (error) {
    return failure(error, 'fail', `redirect URI ${uri}: `)
  }
}

function notSeen(wish: RegistrationWish, error: GatehouseError): Finding {
  const { publicUrl, clientSecret } = wish
  const also = clientSecret === undefined ? '' : ', and when the client secret expires'
  const { redirectUris: [, afterSignOut], logoutUrl } = registrationAddresses(publicUrl)
  return {
    state: 'skipped',
    code: error.code === 'graph_forbidden' ? 'registration_hidden' : error.code,
    message: 'the registration cannot be read',
    remedy: `Check it in Entra ID: redirect URI ${afterSignOut}, front-channel logout URL ${logoutUrl}, ` +
      `optional claims ${claimNames(wish).join(', ')}${also}. ` +
      'With the application permission Application.Read.All doctor checks it.',
  }
}
