// The types of `gatehouse/verify`, as an application's compiler sees them; test/types.test.ts compiles this file.
import { AssertionError, createVerifier, type Identity, type Verifier, type VerifierOptions } from 'gatehouse/verify'
import { equal, type Equal } from './equal.js'

const verifier: Verifier = createVerifier({ issuer: 'https://auth.example.com', audience: 'wiki.example.com' })
createVerifier({ issuer: 'https://auth.example.com', audience: ['wiki.example.com', 'docs.example.com'] as const })
createVerifier({
  issuer: 'https://auth.example.com',
  audience: 'example.com',
  jwksUrl: 'http://gatehouse:4180/.well-known/jwks.json',
  clockTolerance: 0,
  maxLifetime: 600,
})

// @ts-expect-error there must be options
createVerifier()
// @ts-expect-error without an audience, an assertion for another application would be accepted
createVerifier({ issuer: 'https://auth.example.com' })
// @ts-expect-error the issuer is required
createVerifier({ audience: 'wiki.example.com' })
// @ts-expect-error the issuer is a text
createVerifier({ issuer: ['https://auth.example.com'], audience: 'wiki.example.com' })
// @ts-expect-error a misspelt option
createVerifier({ issuer: 'https://auth.example.com', audience: 'wiki.example.com', audiences: [] })
// @ts-expect-error seconds are a number
createVerifier({ issuer: 'https://auth.example.com', audience: 'wiki.example.com', maxLifetime: '600' })
// @ts-expect-error an audience may not be undefined
createVerifier({ issuer: 'https://auth.example.com', audience: undefined })

equal<
  Equal<VerifierOptions, {
    readonly issuer: string
    readonly audience: string | readonly string[]
    readonly jwksUrl?: string
    readonly clockTolerance?: number
    readonly maxLifetime?: number
  }>
>()
equal<Equal<typeof createVerifier, (options: VerifierOptions) => Verifier>>()
const options: VerifierOptions = { issuer: 'https://auth.example.com', audience: 'wiki.example.com' }
// @ts-expect-error options are read-only
options.issuer = 'https://elsewhere.example.com'

equal<Equal<ReturnType<Verifier['verify']>, Promise<Identity>>>()
equal<Equal<Parameters<Verifier['verify']>, [assertion: string | readonly string[] | undefined]>>()
/** The type of a header in node:http. */
declare const header: string | string[] | undefined
const identity = await verifier.verify(header)
// @ts-expect-error null is not the absence of a header
await verifier.verify(null)
// @ts-expect-error the assertion itself, not all headers
await verifier.verify({ 'x-gatehouse-assertion': 'x' })
// @ts-expect-error the argument is required, so that nobody verifies without an assertion by mistake
await verifier.verify()

equal<
  Equal<Identity, {
    readonly sub: string
    readonly username: string
    readonly email: string | undefined
    readonly emailVerified: boolean
    readonly name: string | undefined
    readonly groups: readonly string[]
    readonly permissions: readonly string[]
    readonly isStaff: boolean
    readonly isSuperuser: boolean
    readonly oid: string | undefined
    readonly tid: string | undefined
    readonly sid: string
    readonly expiresAt: number
  }>
>()
// @ts-expect-error an address may be absent
identity.email.toLowerCase()
// @ts-expect-error an identity is read-only
identity.isSuperuser = true
// @ts-expect-error so are its groups
identity.groups.push('Administrators')
// @ts-expect-error the name of the claim is is_superuser, the name of the property is not
void identity.is_superuser

equal<
  Equal<ConstructorParameters<typeof AssertionError>, [
    code: 'missing' | 'invalid' | 'unavailable',
    message: string,
    cause?: unknown,
  ]>
>()
const error: Error = new AssertionError('invalid', 'why', new Error('cause'))
equal<Equal<AssertionError['code'], 'missing' | 'invalid' | 'unavailable'>>()
if (error instanceof AssertionError) {
  // @ts-expect-error there is no such code
  void (error.code === 'expired')
  // @ts-expect-error a code is read-only
  error.code = 'missing'
}
// @ts-expect-error there is no such code
void new AssertionError('expired', 'why')
