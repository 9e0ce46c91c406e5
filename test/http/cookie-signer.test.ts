// Our cookies' signatures are those of @fastify/cookie's signer, both ways, and HMAC-SHA256 as Node has it.
import { createHmac } from 'node:crypto'
import { Signer } from '@fastify/cookie'
import fc from 'fast-check'
import t from 'tap'
import { createCookieSigner } from '../../src/http/cookie-signer.js'

const secret = fc.oneof(
  fc.string({ minLength: 1, maxLength: 200, unit: 'binary' }),
  fc.string({ minLength: 63, maxLength: 66 }),
)
const secrets = fc.array(secret, { minLength: 1, maxLength: 3 })
// also longer than what is kept for it
const value = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', minLength: 80, maxLength: 500 }))

t.test("signs like the plugin's signer and Node's HMAC", async () => {
  fc.assert(
    fc.property(secrets, value, (list, text) => {
      const signed = createCookieSigner(list).sign(text)
      return signed === new Signer(list).sign(text) &&
        signed === `${text}.${createHmac('sha256', list[0] ?? '').update(text).digest('base64').replace(/=/g, '')}`
    }),
    { numRuns: 500 },
  )
})

// proves: live-signature
t.test("accepts what the plugin's signer accepts: unchanged values signed with any of the secrets", async (t) => {
  const seen = { believed: 0, renewed: 0, refused: 0 }
  const spoilt = fc.constantFrom(
    (text: string) => text,
    (text: string) => text,
    (text: string) => `${text}=`,
    (text: string) => text.slice(0, -1),
    (text: string) => `x${text}`,
    (text: string) => text.replace('.', ''),
    (text: string) => `${text}.`,
    (text: string) => text.replace(/.$/, (last) => last === 'A' ? 'B' : 'A'),
    (text: string) => text.toUpperCase(),
    (text: string) => text.replace(/.$/, 'é'),
    (text: string) => text.replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 0x100)),
  )
  fc.assert(
    fc.property(secrets, fc.nat(3), value, spoilt, (list, which, text, spoil) => {
      const signed = spoil(new Signer(list[which] ?? 'of somebody else').sign(text))
      const [ours, theirs] = [createCookieSigner(list).unsign(signed), new Signer(list).unsign(signed)]
      seen[ours.renew ? 'renewed' : ours.valid ? 'believed' : 'refused']++
      return JSON.stringify(ours) === JSON.stringify(theirs)
    }),
    { numRuns: 1_000 },
  )
  fc.assert(fc.property(secrets, fc.string(), (list, text) => !createCookieSigner(list).unsign(text).valid))
  for (const [what, count] of Object.entries(seen)) t.ok(count > 20, `${what}: ${count}`)
})
