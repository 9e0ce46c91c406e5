// Administrators who deploy drafts of the policy and roll back, and a replica that they wait for.
import type { Test } from 'tap'
import { connect, type Query } from '../../helpers/sql.js'
import { until } from '../../helpers/until.js'
import { draftToDeploy, inForce } from './act-scenes.js'
import { HELPDESK, startDeployedScene, type ApiClient } from './helper.js'

export type Draft = Awaited<ReturnType<typeof draftToDeploy>>
export type Policy = Readonly<Record<string, unknown>>

/** Asks as a page of the console does. */
export async function post({ ask, csrfToken }: ApiClient, path: string, body: unknown, ifMatch?: string) {
  const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': csrfToken }
  return await ask(path, {
    method: 'POST',
    headers: { ...headers, ...ifMatch === undefined ? {} : { 'if-match': ifMatch } },
    body,
  })
}

export async function deployScene(t: Test, config: Readonly<Record<string, unknown>> = {}) {
  const admin = await startDeployedScene(t, config)
  const query = await connect(t, admin.gateway.databaseUrl)
  const { clients: { sue, helpdesk } } = admin
  const begin = async (change?: (policy: Policy) => unknown, by?: ApiClient) =>
    await draftToDeploy(admin, query, change, by)
  const deploy = async ({ path, ifMatch, body }: Draft, changed: Policy = {}, client = sue) =>
    await post(client, `${path}/deploy`, { ...body, ...changed }, ifMatch)
  const rollback = async (number: number, changed: Policy = {}, client = sue) => {
    const body = { message: 'Back', reason: 'It was better.', onto: await inForce(query), ...changed }
    return await post(client, `/policy/versions/${number}/rollback`, body)
  }
  /** Gus gets the permission, by the group that he is in. */
  const trustGus = async () => {
    await query(
      "insert into group_permissions (group_id, permission) select id, 'gatehouse.policy' from groups where name = $1",
      [HELPDESK],
    )
  }
  return { ...admin, query, sue, gus: helpdesk, begin, deploy, rollback, trustGus }
}

export async function lastRow(query: Query, action: string): Promise<Policy | undefined> {
  const [row] = await query<{ detail: Policy }>(
    'select detail from audit_events where action = $1 order by id desc limit 1',
    [action],
  )
  return row?.detail
}

/** A replica that tries no policy before `answer` is called. */
export async function slowReplica({ query }: { query: Query }) {
  await query(`insert into replicas (replica, heartbeats, name, config, listens, heartbeat_at)
    values ('slow', 1, 'slow:1', repeat('0', 64), true, clock_timestamp() + interval '9 seconds')`)
  const trial = async () => (await query<{ id: string }>('select id from policy_trials'))[0]?.id
  return {
    isAsked: async () => await until(async () => await trial() !== undefined),
    answer: async (refusal: string | null) => {
      await query('insert into policy_trial_answers (trial, replica, refusal) values ($1, $2, $3)', [
        await trial(),
        'slow',
        refusal,
      ])
    },
  }
}
