// Entra ID and Graph: the tenant is the configured one, its clock agrees, it accepts the credential, Graph answers.
import type { EntraEndpoints } from '../entra/clouds.js'
import type { Discovery, Inspection } from '../entra/inspection.js'
import { failure, type Check, type Finding } from './finding.js'

const SKEW_WARN_MS = 60_000
const SKEW_FAIL_MS = 300_000 // the tolerance for the times of an ID token

export function discoveryFits(endpoints: EntraEndpoints, ask: Pick<Inspection, 'discovery'>): Check {
  return async () => {
    let found: Discovery
    try {
      found = await ask.discovery()
    } catch (error) {
      return [failure(error, 'fail')]
    }
    return [...documentFits(endpoints, found), clockFits('Entra ID', found.skewMs)]
  }
}

function documentFits(
  { issuer, authority, authorizePath, token, keys, endSession, graph }: EntraEndpoints,
  found: Discovery,
): Finding[] {
  if (found.issuer !== issuer) {
    return [{
      state: 'fail',
      code: 'issuer_differs',
      message: `the tenant's issuer is ${shown(found.issuer)}, not ${issuer}`,
      remedy: 'Check entra.tenantId, entra.cloud and entra.authorityHost.',
    }]
  }
  const pairs = [[`${authority}${authorizePath}`, found.authorize], [token, found.token], [keys, found.keys], [
    endSession,
    found.endSession,
  ]] as const
  const different = pairs.filter(([expected, published]) => published !== expected)
  const findings: Finding[] = different.map(([expected, published]) => ({
    state: 'warn',
    code: 'endpoint_differs',
    message: `the tenant publishes ${shown(published)} where Gatehouse uses ${expected}`,
    remedy: 'Check entra.authorityHost.',
  }))
  const host = new URL(graph).host
  if (found.graphHost !== undefined && found.graphHost !== host) {
    findings.push({
      state: 'fail',
      code: 'cloud_differs',
      message: `the tenant's Graph is ${shown(found.graphHost)}, not ${host}`,
      remedy: 'Set entra.cloud to the cloud that the tenant lives in, or check entra.graphUrl.',
    })
  }
  return findings.length > 0 ? findings : [{ state: 'ok', code: 'discovery', message: `the tenant exists: ${issuer}` }]
}

export function clockFits(whose: string, skewMs: number | undefined): Finding {
  if (skewMs === undefined) {
    return {
      state: 'skipped',
      code: 'clock',
      message: `${whose} does not send its time`,
      remedy: 'Compare the clock of this machine by hand.',
    }
  }
  const off = Math.abs(skewMs)
  const difference = `${Math.round(off / 1000)} seconds ${skewMs > 0 ? 'ahead' : 'behind'}`
  const message = `the clock of ${whose} ${off < 2_000 ? 'agrees with this machine' : `is ${difference}`}`
  if (off < SKEW_WARN_MS) return { state: 'ok', code: 'clock', message }
  return {
    state: off < SKEW_FAIL_MS ? 'warn' : 'fail',
    code: 'clock_skew',
    message,
    remedy: 'Synchronise the clocks (NTP): with more than five minutes of skew every sign-in is rejected.',
  }
}

export function signingKeysExist(ask: Pick<Inspection, 'signingKeys'>): Check {
  return async () => {
    try {
      const count = await ask.signingKeys()
      return [
        count > 0
          ? { state: 'ok', code: 'keys', message: `${count} signing keys` }
          : {
            state: 'fail',
            code: 'entra_keys_unavailable',
            message: 'the tenant publishes no signing key',
            remedy: 'Check entra.tenantId and entra.authorityHost.',
          },
      ]
    } catch (error) {
      return [failure(error, 'fail', 'signing keys: ')]
    }
  }
}

export function credentialAccepted(ask: Pick<Inspection, 'credential'>): Check {
  return async () =>
    await ask.credential().then(
      (): Finding[] => [{ state: 'ok', code: 'credential', message: 'Entra ID accepts the credential' }],
      (error: unknown) => [failure(error, 'fail')],
    )
}

export function graphReachable(ask: Pick<Inspection, 'graphAnswers'>): Check {
  return async () =>
    await ask.graphAnswers().then(
      (): Finding[] => [{ state: 'ok', code: 'graph', message: 'Graph answers' }],
      (error: unknown) => [failure(error, 'fail', 'Graph: ')],
    )
}

const MAY_READ: Finding = {
  state: 'ok',
  code: 'graph_permission',
  message: "Gatehouse itself may read people's memberships",
}

/** Permissions that `explain` and `sync` need, and logins do not. */
export function applicationPermissions(
  { sync }: { readonly sync: boolean },
  ask: Pick<Inspection, 'mayRead' | 'applicationRoles'>,
): Check {
  return async () => {
    try {
      if (await ask.mayRead('memberships') && (!sync || await ask.mayRead('accounts'))) {
        return [MAY_READ, ...sync ? [hiddenMemberships(await ask.applicationRoles())] : []] // guard: adv-hidden-doctor
      }
      if (sync) {
        return [{
          state: 'fail',
          code: 'graph_permission',
          message: "Gatehouse itself may not read people's accounts and memberships, which sync needs",
          remedy: 'Grant the application permissions User.Read.All and GroupMember.Read.All with admin consent.',
        }]
      }
      return [{
        state: 'warn',
        code: 'graph_permission',
        message:
          "Gatehouse itself may not read people's memberships: logins work, `explain USER` and `explain --live` do not",
        remedy:
          'Grant the application permissions User.Read.All and GroupMember.Read.All with admin consent, if you want ' +
          'them.',
      }]
    } catch (error) {
      return [failure(error, 'skipped', 'application permissions: ')]
    }
  }
}

/** Graph hides the members of a group with hidden membership from applications, but not from the user's sign-in. */
function hiddenMemberships(roles: readonly string[] | undefined): Finding {
  const code = 'hidden_memberships'
  const remedy = 'Grant the application permission Member.Read.Hidden with admin consent ' +
    'if a group of the mapping has hidden membership.'
  if (roles === undefined) {
    const message = 'the token does not show whether the application may read hidden memberships'
    return { state: 'skipped', code, message, remedy }
  }
  if (roles.includes('Member.Read.Hidden')) {
    return { state: 'ok', code, message: 'Gatehouse itself may read hidden memberships' }
  }
  const message = 'Gatehouse itself may not read hidden memberships: ' +
    'what a group with hidden membership grants at a sign-in, sync removes'
  return { state: 'warn', code, message, remedy }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 200) : 'nothing'
}
