// Tokens: their form, and what they are worth.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { ADMIN_PERMISSIONS, adminPermissions } from '../../src/core/admin-permissions.js'
import { isOurToken, makeToken, newPublicTokenId, readToken, tokenHoldings } from '../../src/core/token.js'
import { TAKINGS } from '../../src/core/tombstones.js'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes))
const WORDS = [...Object.keys(ADMIN_PERMISSIONS), 'gatehouse.unheard', 'netbox.view']

// proves: token-hashed
t.test('a token is found again by the hash of its random bytes', async (t) => {
  fc.assert(fc.property(secrets, (secret) => {
    const { token, hash } = makeToken('admin', secret)
    return /^gha_[0-9A-Za-z]{49}$/.test(token) && readToken('admin', token)?.equals(hash) === true &&
      hash.equals(createHash('sha256').update(secret).digest())
  }))
  const ends = [Buffer.alloc(32), Buffer.alloc(32, 0xff)].map((secret) => makeToken('admin', secret))
  t.match(ends[0]?.token, /^gha_0{43}/)
  for (const { token, hash } of ends) t.strictSame(readToken('admin', token), hash)
  t.not(makeToken('admin').token, makeToken('admin').token)
  t.throws(() => makeToken('admin', Buffer.alloc(31)))
})

// proves: token-checksum
t.test('no other text is a token: a changed, missing or added character is noticed', async (t) => {
  const changed = fc.tuple(secrets, fc.nat(52), fc.constantFrom(...DIGITS)).filter(([secret, at, digit]) =>
    makeToken('admin', secret).token[at] !== digit
  )
  fc.assert(fc.property(changed, ([secret, at, digit]) => {
    const { token } = makeToken('admin', secret)
    return readToken('admin', `${token.slice(0, at)}${digit}${token.slice(at + 1)}`) === undefined
  }))
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => readToken('admin', `gha_${text}`) === undefined))
  const { token } = makeToken('admin')
  for (const text of [` ${token}`, `${token}\n`, `${token}0`, token.slice(0, -1), `gh_${token.slice(4)}`, '']) {
    t.equal(readToken('admin', text), undefined, JSON.stringify(text))
  }
})

t.test('a number that no 32 bytes have is no token, whatever its checksum', async (t) => {
  const body = `gha_${'z'.repeat(43)}`
  let number = createHash('sha256').update(body).digest().readUInt32BE(0)
  let checksum = ''
  for (; checksum.length < 6; number = Math.floor(number / 62)) checksum = `${DIGITS[number % 62]}${checksum}`
  t.equal(readToken('admin', `${body}${checksum}`), undefined)
})

// proves: token-ours
t.test('what looks like a token of Gatehouse decides alone, also a broken one', async (t) => {
  for (const ours of ['gha_', 'gha_x', 'gh_x', makeToken('admin').token]) t.ok(isOurToken(ours), ours)
  for (const other of ['', 'ghp_x', 'nbt_x', 'eyJhbGciOi', 'xgha_', 'ghab_', 'GHA_x']) t.notOk(isOurToken(other), other)
})

// proves: token-scopes
t.test('a token is worth what its scopes and its owner both have, and never a flag', async () => {
  const rights = fc.record({
    isStaff: fc.boolean(),
    isSuperuser: fc.boolean(),
    permissions: fc.subarray(WORDS),
  })
  fc.assert(fc.property(fc.subarray(WORDS), rights, (scopes, owner) => {
    const worth = tokenHoldings(scopes, owner)
    const held = adminPermissions(owner)
    const asked = new Set<string>([
      ...scopes,
      ...scopes.some((word) => word in ADMIN_PERMISSIONS)
        ? ['gatehouse.read']
        : [],
    ])
    const expected = [...held].filter((word) => asked.has(word)).sort()
    return !worth.isStaff && !worth.isSuperuser &&
      JSON.stringify([...adminPermissions(worth)].sort()) === JSON.stringify(expected)
  }))
})

t.test('a public id is one that can be taken away again', async (t) => {
  for (let n = 0; n < 50; n++) t.match(newPublicTokenId(), TAKINGS['token.revoked'].form)
})
