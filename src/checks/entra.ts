// Entra ID and Graph: the tenant is the one that is meant, its clock is ours, the credential is taken, Graph answers.
import type { EntraEndpoints } from '../entra/clouds.js'
import type { Discovery, Inspection } from '../entra/inspection.js'
import { failure, type Check, type Finding } from './finding.js'

const SKEW_WARN_MS = 60_000
const SKEW_FAIL_MS = 300_000 // what an id token's times may differ

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
      says: `the tenant's issuer is ${shown(found.issuer)}, not ${issuer}`,
      remedy: 'Check entra.tenantId, entra.cloud and entra.authorityHost.',
    }]
  }
  const pairs = [[`${authority}${authorizePath}`, found.authorize], [token, found.token], [keys, found.keys], [
    endSession,
    found.endSession,
  ]] as const
  const other = pairs.filter(([ours, theirs]) => theirs !== ours)
  const findings: Finding[] = other.map(([ours, theirs]) => ({
    state: 'warn',
    code: 'endpoint_differs',
    says: `the tenant names ${shown(theirs)} where Gatehouse uses ${ours}`,
    remedy: 'Check entra.authorityHost.',
  }))
  const host = new URL(graph).host
  if (found.graphHost !== undefined && found.graphHost !== host) {
    findings.push({
      state: 'fail',
      code: 'cloud_differs',
      says: `the tenant's Graph is ${shown(found.graphHost)}, not ${host}`,
      remedy: 'Set entra.cloud to the cloud that the tenant lives in, or check entra.graphUrl.',
    })
  }
  return findings.length > 0 ? findings : [{ state: 'ok', code: 'discovery', says: `the tenant is there: ${issuer}` }]
}

export function clockFits(whose: string, skewMs: number | undefined): Finding {
  if (skewMs === undefined) {
    return {
      state: 'skipped',
      code: 'clock',
      says: `${whose} does not send its time`,
      remedy: 'Compare the clock of this machine by hand.',
    }
  }
  const off = Math.abs(skewMs)
  const says = `the clock of ${whose} is ${
    off < 2_000 ? 'ours' : `${Math.round(off / 1000)} seconds ${skewMs > 0 ? 'ahead' : 'behind'}`
  }`
  if (off < SKEW_WARN_MS) return { state: 'ok', code: 'clock', says }
  return {
    state: off < SKEW_FAIL_MS ? 'warn' : 'fail',
    code: 'clock_skew',
    says,
    remedy: 'Synchronise the clocks (NTP): with more than five minutes of skew every sign-in is rejected.',
  }
}

export function signingKeysExist(ask: Pick<Inspection, 'signingKeys'>): Check {
  return async () => {
    try {
      const count = await ask.signingKeys()
      return [
        count > 0
          ? { state: 'ok', code: 'keys', says: `${count} signing keys` }
          : {
            state: 'fail',
            code: 'entra_keys_unavailable',
            says: 'the tenant publishes no signing key',
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
      (): Finding[] => [{ state: 'ok', code: 'credential', says: 'Entra ID accepts the credential' }],
      (error: unknown) => [failure(error, 'fail')],
    )
}

export function graphReachable(ask: Pick<Inspection, 'graphAnswers'>): Check {
  return async () =>
    await ask.graphAnswers().then(
      (): Finding[] => [{ state: 'ok', code: 'graph', says: 'Graph answers' }],
      (error: unknown) => [failure(error, 'fail', 'Graph: ')],
    )
}

const MAY_READ: Finding = {
  state: 'ok',
  code: 'graph_permission',
  says: "Gatehouse itself may read people's memberships",
}

/** Logins need none of it; `explain` and `sync` do. */
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
          says: "Gatehouse itself may not read people's accounts and memberships, which sync is about",
          remedy: 'Grant the application permissions User.Read.All and GroupMember.Read.All with admin consent.',
        }]
      }
      return [{
        state: 'warn',
        code: 'graph_permission',
        says:
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

/** An application is not shown the members of a group with hidden membership, which a person's own sign-in is. */
function hiddenMemberships(roles: readonly string[] | undefined): Finding {
  const code = 'hidden_memberships'
  const remedy = 'Grant the application permission Member.Read.Hidden with admin consent ' +
    'if a group of the mapping has hidden membership.'
  if (roles === undefined) {
    const says = 'the token does not show whether the application may read hidden memberships'
    return { state: 'skipped', code, says, remedy }
  }
  if (roles.includes('Member.Read.Hidden')) {
    return { state: 'ok', code, says: 'Gatehouse itself may read hidden memberships' }
  }
  const says = 'Gatehouse itself may not read hidden memberships: ' +
    'what a group with hidden membership grants at a sign-in, sync takes away'
  return { state: 'warn', code, says, remedy }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 200) : 'nothing'
}
