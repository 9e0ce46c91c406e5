// What a fresh sign-in may renew, as the transaction finds it: between the look at the browser's session and the commit
// that session may have ended, or be another user's.
import t, { type Test } from 'tap'
import { newPublicSessionId, newSessionId, sessionIdHash } from '../../src/core/session.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { replaceSession } from '../../src/store/session-placing.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const LIMITS = {
  idleTimeoutMs: 3_600_000,
  absoluteTimeoutMs: 7_200_000,
  privilegedTimeoutMs: undefined,
  maxPerUser: 10,
}

async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  const [amy, ben] = await query<{ id: string }>(
    "insert into users (username, username_key) values ('amy', 'amy'), ('ben', 'ben') returning id",
  )
  /** @param former the session that the browser had */
  const signIn = async (user: { id: string } | undefined, former?: { id: string, publicId: string }) => {
    const session = { id: newSessionId(), publicId: newPublicSessionId(), sibling: false }
    const token = { entraSid: null, tokenIssuedAt: new Date(), authenticatedAt: new Date() }
    const placing = {
      userId: user?.id ?? '',
      session: { ...session, replaces: former?.id, ...former === undefined ? {} : { renews: former.publicId } },
      token,
      limits: LIMITS,
    }
    return { ...session, placed: await database.transaction((tx) => replaceSession(tx, placing)) }
  }
  const stored = async () => await query('select public_id, user_id, id_hash from sessions order by created_at')
  return { query, signIn, stored, amy, ben }
}

t.test('a fresh sign-in renews the session of the same user', async (t) => {
  const { signIn, stored, amy } = await scene(t)
  const first = await signIn(amy)
  const second = await signIn(amy, first)
  t.strictSame(second.placed, { publicId: first.publicId, isNew: false, keepsId: false })
  t.strictSame(await stored(), [{
    public_id: first.publicId,
    user_id: amy?.id,
    id_hash: sessionIdHash(second.id),
  }])
})

// proves: admin-renewed-active
t.test('a session that has ended by then is not renewed: a new one takes its place', async (t) => {
  const endings = ["last_seen_at = now() - interval '61 minutes'", "created_at = now() - interval '121 minutes'"]
  for (const ending of endings) {
    const { query, signIn, stored, amy } = await scene(t)
    const first = await signIn(amy)
    await query(`update sessions set ${ending}`)
    const second = await signIn(amy, first)
    t.strictSame(second.placed, { publicId: second.publicId, isNew: true, keepsId: false }, ending)
    t.match(await stored(), [{ public_id: second.publicId }])
  }
})

// proves: admin-renewed-person
t.test('a session of another user is not renewed: it never becomes theirs', async (t) => {
  const { signIn, stored, amy, ben } = await scene(t)
  const first = await signIn(amy)
  const second = await signIn(ben, first)
  t.strictSame(second.placed, { publicId: second.publicId, isNew: true, keepsId: false })
  t.strictSame(await stored(), [{
    public_id: second.publicId,
    user_id: ben?.id,
    id_hash: sessionIdHash(second.id),
  }], 'the session of the browser is replaced, as by every sign-in of another user')
})
