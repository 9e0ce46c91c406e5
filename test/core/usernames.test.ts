// Usernames of new people: what they are made of, when they have a suffix, and which one.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { IdentityClaims } from '../../src/core/identity.js'
import { STEPS } from '../../src/core/pipeline/index.js'
import type { PipelineSettings, StepContext } from '../../src/core/pipeline/pipeline.js'
import { cleanUsername, isUsername, usernameCandidates, usernameKey } from '../../src/core/user.js'
import { LOOKUPS, SETTINGS } from '../helpers/pipeline.js'

const IDS = { tid: '11111111-2222-3333-4444-555555550000', oid: '11111111-2222-3333-4444-55555555000A' }
const CLAIMS: IdentityClaims = { ...IDS, sub: 'x', iat: 0 }
const DIGEST = createHash('sha256').update(`${IDS.tid}:${IDS.oid}`.toLowerCase()).digest('hex')
const EIGHT = DIGEST.slice(0, 8)

type Claims = Partial<IdentityClaims>

/** What social_details takes the username from. */
async function sourceOf(settings: Partial<PipelineSettings>, claims: Claims): Promise<string | undefined> {
  const context = { groupIds: [], plan: {}, lookups: LOOKUPS }
  const given = { claims: { ...CLAIMS, ...claims }, settings: { ...SETTINGS, ...settings } }
  return (await STEPS.social_details({ ...context, ...given })).details?.usernameSource
}

/** What get_username makes of a source. */
async function nameOf(usernameSource: string, more: Partial<StepContext> = {}, uid = IDS): Promise<string | undefined> {
  const nothing = { email: null, emailVerified: false, name: null, givenName: null, familyName: null }
  const plan = { uid, details: { usernameSource, ...nothing } }
  const context = { claims: CLAIMS, groupIds: [], settings: SETTINGS, lookups: LOOKUPS, plan, ...more }
  return (await STEPS.get_username(context)).username
}

t.test('what a username is made of', async (t) => {
  // proves: username-source
  await t.test('what is configured, or the next best that can be trusted', async (t) => {
    const all = { upn: 'upn', preferred_username: 'preferred', email: 'mail', name: 'display' }
    const verified = { email: 'mail', xms_edov: true }
    t.equal(await sourceOf({ username: 'upn' }, all), 'upn')
    t.equal(await sourceOf({ username: 'email' }, { ...all, ...verified }), 'mail')
    t.equal(await sourceOf({ username: 'name', usernameUnverified: true }, all), 'display')
    t.equal(await sourceOf({ username: 'upn' }, { preferred_username: 'preferred', ...verified }), 'preferred')
    t.equal(await sourceOf({ username: 'upn' }, verified), 'mail')
    t.equal(await sourceOf({ username: 'upn' }, { upn: '', ...verified }), 'mail', 'an empty claim says nothing')
    for (const username of ['upn', 'email', 'name'] as const) t.equal(await sourceOf({ username }, {}), IDS.oid)
  })

  // proves: adv-unverified-no-username, adv-display-name-no-username, adv-guest-address-no-username
  await t.test('neither an unverified address nor a display name, unless the operator answers for it', async (t) => {
    const forged = { email: 'ceo@contoso.example', name: 'netbox-admin' }
    const unverified = [{}, { xms_edov: false }, { xms_edov: '0' }, { xms_edov: 0 }, { xms_edov: 'true' }]
    for (const username of ['upn', 'email', 'name'] as const) {
      for (const edov of unverified) t.equal(await sourceOf({ username }, { ...forged, ...edov }), IDS.oid, username)
    }
    for (const username of ['email', 'name'] as const) {
      t.equal(await sourceOf({ username }, { ...forged, upn: 'x@fabrikam.example' }), 'x@fabrikam.example')
    }
    const guest = { ...forged, preferred_username: forged.email }
    t.equal(await sourceOf({ username: 'email' }, guest), IDS.oid, "a guest's preferred_username is the same address")
    const answered = { usernameUnverified: true }
    t.equal(await sourceOf({ username: 'upn', ...answered }, forged), forged.email)
    t.equal(await sourceOf({ username: 'email', ...answered }, forged), forged.email)
    t.equal(await sourceOf({ username: 'name', ...answered }, forged), forged.name)
  })

  // proves: adv-upn-not-at-home
  await t.test("the name that commands find people by is the UPN, never a guest's name at home", async (t) => {
    const upnOf = async (claims: Claims) => {
      const context = { groupIds: [], plan: {}, lookups: LOOKUPS, settings: SETTINGS }
      return (await STEPS.load_extra_data({ ...context, claims: { ...CLAIMS, ...claims } })).extraData?.upn
    }
    t.equal(await upnOf({ upn: 'a', preferred_username: 'b', acct: 1 }), 'a')
    t.equal(await upnOf({ preferred_username: 'b' }), 'b')
    t.equal(await upnOf({ preferred_username: 'b', acct: 0 }), 'b')
    t.equal(await upnOf({ preferred_username: 'b', acct: 1 }), null)
    for (const claims of [{}, { upn: '' }, { upn: '', preferred_username: '' }]) t.equal(await upnOf(claims), null)
  })
})

t.test('the suffix of a username', async (t) => {
  // proves: adv-suffix-only-where-taken
  await t.test('is there only where the clean name is taken or reserved', async (t) => {
    t.equal(await nameOf("o'brien@contoso.example"), 'obrien@contoso.example')
    t.equal(await nameOf('gus_fabrikam.example#EXT#@contoso.example'), 'gus_fabrikam.exampleEXT@contoso.example')
    const suffixed = `obrien-${EIGHT}@contoso.example`
    const lookups = { ...LOOKUPS, usernameTaken: async (key: string) => key === 'obrien@contoso.example' }
    t.equal(await nameOf("O'Brien@contoso.example", { lookups }), `OBrien-${EIGHT}@contoso.example`)
    const settings = { ...SETTINGS, reservedUsernames: ['OBrien@contoso.example'] }
    t.equal(await nameOf("o'brien@contoso.example", { settings }), suffixed)
  })

  // proves: adv-suffix-of-the-person, adv-suffix-before-domain
  await t.test('stands before the domain, and is made of tenant and object ID', async (t) => {
    t.equal(usernameCandidates('abe@contoso.example', IDS)[1], `abe-${EIGHT}@contoso.example`)
    t.equal(usernameCandidates('Abe Lincoln', IDS)[1], `AbeLincoln-${EIGHT}`)
    const lower = { ...IDS, oid: IDS.oid.toLowerCase() }
    t.same(usernameCandidates('abe', lower), usernameCandidates('abe', IDS))
  })

  // proves: username-given-up, adv-suffix-longer
  await t.test('is longer where the shorter one is taken too, and at the end the login is refused', async (t) => {
    const asked: string[] = []
    const lookups = { ...LOOKUPS, usernameTaken: async (key: string) => Boolean(asked.push(key)) }
    await t.rejects(nameOf('abe@x.example', { lookups }), { code: 'username_unavailable', remedy: /users release/ })
    const longer = [8, 16, 32, 64].map((digits) => `abe-${DIGEST.slice(0, digits)}@x.example`)
    t.same(asked, ['abe@x.example', ...longer])
  })

  await t.test('stands alone before a domain that leaves no room for a name', async (t) => {
    const domain = (length: number) => `@${'b'.repeat(length - 1)}`
    const suffixed = (length: number) => usernameCandidates(`abe${domain(length)}`, IDS)[1]
    t.equal(suffixed(139), `ab-${EIGHT}${domain(139)}`)
    t.equal(suffixed(140), `a-${EIGHT}${domain(140)}`)
    for (const length of [141, 142]) t.equal(suffixed(length), `${EIGHT}${domain(length)}`, `${length} characters`)
    t.equal(suffixed(143), `${EIGHT}${domain(142)}`, 'the domain is cut')
  })

  // proves: adv-domain-not-cleaned, adv-no-empty-name
  await t.test('is there from the start where cleaning left no name, or another domain', async (t) => {
    t.equal(await nameOf('山田太郎'), EIGHT)
    t.equal(await nameOf('山田@contoso.example'), `${EIGHT}@contoso.example`)
    const others = ['sam@contosö.example', 'sam@contoso.exam ple', 'sam@conto#so.example']
    for (const source of [...others, `${'x'.repeat(145)}@contoso.example`]) {
      t.match(await nameOf(source), new RegExp(`-${EIGHT}@`), source)
    }
  })

  // proves: room-for-suffix
  await t.test('keeps any people apart, in allowed characters, at most 150 of them', async (t) => {
    const source = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.emailAddress(),
      fc.constantFrom('abe', 'a@b', '@', '@@', 'a@', ''),
      fc.string({ unit: fc.constantFrom('a', 'A', '@', '-', "'", 'é', '.', '\u212a'), maxLength: 200 }),
    )
    fc.assert(
      fc.property(source, (text) => usernameCandidates(text, IDS).every((name) => /^[\w.@+-]{1,150}$/.test(name))),
    )
    const long = [
      'a'.repeat(300),
      `${'a'.repeat(150)}@b.example`,
      `a@${'b'.repeat(300)}`,
      `${'a'.repeat(139)}@b.example`,
    ]
    for (const text of long) {
      for (const name of usernameCandidates(text, IDS)) t.match(name, /^[\w.@+-]{1,150}$/, `${name.length} characters`)
    }
    const person = fc.record({ tid: fc.uuid(), oid: fc.uuid(), source })
    const people = fc.uniqueArray(person, { selector: ({ tid, oid }) => `${tid}${oid}`, maxLength: 30 })
    await fc.assert(fc.asyncProperty(people, async (all) => {
      const taken = new Set<string>()
      const lookups = { ...LOOKUPS, usernameTaken: async (key: string) => taken.has(key) }
      for (const { source: text, ...uid } of all) {
        const username = await nameOf(text, { lookups }, uid) ?? ''
        const same = username === await nameOf(text, { lookups }, uid)
        if (!same || taken.has(usernameKey(username)) || !/^[\w.@+-]{1,150}$/.test(username)) return false
        const isClean = cleanUsername(text) === text && /^[^@]/.test(text)
        if (isClean && !taken.has(usernameKey(text)) && username !== text) return false
        taken.add(usernameKey(username))
      }
      return true
    }))
  })
})

// proves: adv-no-colon
t.test('names that a command may give have no white space, no control character and no colon', async (t) => {
  for (const name of ['abe', 'abe@contoso.example', 'Zoë', '山田太郎', 'a/b']) t.ok(isUsername(name), name)
  t.ok(isUsername('x'.repeat(150)), '150 characters')
  const wrong = ['', 'a b', 'a\tb', 'a\u202eb', 'token:abe', 'app:x', 'x'.repeat(151)]
  for (const name of wrong) t.notOk(isUsername(name), JSON.stringify(name))
})
