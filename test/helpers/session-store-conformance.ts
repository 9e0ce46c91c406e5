// What every SessionStore must do. A new store runs this suite; `open` gives it one session of a user with rights.
import type { Test } from 'tap'
import { sessionIdHash, type SessionStore } from '../../src/core/session.js'

export interface ConformanceSubject {
  readonly store: SessionStore
  /** Makes a user and a session as a login would. @returns the session's id */
  newSession(entraSid?: string): Promise<string>
  deactivateUsers(): Promise<void>
}

export async function sessionStoreConformance(
  t: Test,
  { store, newSession, deactivateUsers }: ConformanceSubject,
): Promise<void> {
  await t.test('finds a session by its id and by nothing else', async (t) => {
    const id = await newSession()
    const found = await store.find(id)
    t.match(found, {
      publicId: /^ses_/,
      groups: Array,
      permissions: Array,
      authTime: Number,
      expiresAt: Number,
      idleMs: Number,
      expiresInMs: Number,
      rightsEndInMs: null,
    })
    t.equal(await store.find(`${id}x`), undefined)
    t.equal(await store.find(''), undefined)
    if (found) t.equal(await store.find(found.publicId), undefined, 'the public id opens nothing')
  })
  await t.test('an ended session is over, and no late touch brings it back', async (t) => {
    const id = await newSession()
    await store.end(id, 'test')
    t.equal(await store.find(id), undefined)
    await store.touch([{ hash: sessionIdHash(id).toString('hex') }])
    t.equal(await store.find(id), undefined)
    await store.end(id, 'test')
  })
  await t.test('what is in use is not idle any more, whichever of them', async (t) => {
    const [one, two, other] = [await newSession(), await newSession(), await newSession()]
    await new Promise((resolve) => setTimeout(resolve, 50))
    await store.touch([one, two].map((id) => ({ hash: sessionIdHash(id).toString('hex') })))
    await store.touch([])
    const idle = async (id: string) => (await store.find(id))?.idleMs ?? NaN
    for (const id of [one, two]) t.ok(await idle(id) < await idle(other))
  })
  await t.test('ending one session leaves the others', async (t) => {
    const [one, other] = [await newSession(), await newSession()]
    await store.end(one, 'test')
    t.ok(await store.find(other))
  })
  await t.test("Entra's session id ends the sessions that began with it, and no others", async (t) => {
    const [one, two, other, without] = [
      await newSession('sid-of-entra'),
      await newSession('sid-of-entra'),
      await newSession('another-sid'),
      await newSession(),
    ]
    t.strictSame(
      new Set((await store.endByEntraSid('sid-of-entra', 'test')).map((hash) => hash.toString('hex'))),
      new Set([one, two].map((id) => sessionIdHash(id).toString('hex'))),
    )
    for (const id of [one, two]) t.equal(await store.find(id), undefined)
    for (const id of [other, without]) t.ok(await store.find(id))
    t.strictSame(await store.endByEntraSid('sid-of-entra', 'test'), [])
  })
  await t.test("an inactive user's session is not returned", async (t) => {
    const id = await newSession()
    await deactivateUsers()
    t.equal(await store.find(id), undefined)
  })
}
