// The sealed state of a sign-in: what comes back with it, how long it is valid, and which states and bindings are
// refused.
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import t from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import {
  createFlowSealer,
  FLOW_LIFETIME_MS,
  flowHash,
  isBinding,
  newBinding,
  type FlowFacts,
} from '../../src/core/login-flow.js'

const SECRET = 'a'.repeat(32)
const BINDING = 'A'.repeat(43)
const NOW = 1_000_000
const RETURN_TO = 'https://app.test/a?b'

function sealer(secrets: readonly string[] = [SECRET], at = NOW, unknown?: () => void) {
  return createFlowSealer(secrets, () => at, unknown)
}

/** The opened flow, or the error. @param binding null: the browser has none */
function opened(state: string, flows = sealer(), binding: string | null = BINDING): unknown {
  try {
    return flows.open(state, () => binding ?? undefined)
  } catch (error) {
    return error
  }
}

/** A state that was encrypted outside the sealer, for any purpose and any content. */
function sealedFor(purpose: string, content: string, { salt = 'gatehouse', secret = SECRET } = {}): string {
  const key = Buffer.from(hkdfSync('sha256', secret, salt, purpose, 32))
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  return Buffer.concat([iv, cipher.update(content), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

// Replicas of two versions run side by side during an update: both open each other's states.
t.test('a state of the previous version is opened, with the same nonce and the same verifier', async (t) => {
  const state = [
    'y4-GlJbL0w9W_TI_dPuZbS-uO-QaSvsTie8ke_EQvVdqOvlxu3m8ukXGOThX52cnjG7FJIJgXXX1HtGnhN2enb7CKMcNK6J2HgWT',
    'pOqat1FUgjnIX98d93MtkYjn76crRHqDfiJ-XQL-c9MigJO31kyDXKc5xYA_kn_fIehvTCBBaP6NFgEO3GzzSeG6MflzjoGAh60Q',
    'z0Ocs0XYhIScdN_b-x2nvJLWTISGEQHaWjGomdHCT-SQ4VYMAIJ2_CAW4LzBg7PcAMTZV3uGTlnQS8pVlssiKLlh',
  ].join('')
  const facts = {
    id: 'xb8fA3_87y0k_ZUrMsMmag',
    returnTo: 'https://app.test/a?b',
    addressStored: true,
    retry: true,
    restarted: true,
    chain: 'the-chain',
    selectAccount: true,
    session: 'ses_1',
    round: { count: 3, firstAt: 900_000 },
    beganAt: 1_000_000,
    stepUp: undefined,
  }
  const derived = {
    nonce: 'HOKMFBsQrHCFqk_0vu4JOCLO96nRPFy8hR9xO853M-s',
    codeVerifier: 'ErAIobVvQb1M_34b5RnvHF9rsfNzqM25MNYjbs8Mhn8',
  }
  t.strictSame(opened(state), { fault: undefined, flow: { ...facts, ...derived } })
  t.equal(sealer().idOf(state), facts.id)
  t.equal(sealer().chainOf(state), 'the-chain')
  t.equal(
    flowHash({ id: 'flow-1' }).toString('hex'),
    '6eff6f58d56f7333c3280a44c16cc2b24782d59e982be7a51429e8901f0102a0',
    'what the database stores of a flow',
  )
})

t.test('each fact that a flow begins with comes back alone', async (t) => {
  const none: Omit<FlowFacts, 'chain'> = {
    returnTo: RETURN_TO,
    addressStored: false,
    retry: false,
    restarted: false,
    selectAccount: false,
    session: undefined,
    round: { count: 1, firstAt: NOW },
    beganAt: NOW,
    stepUp: undefined,
  }
  const table: readonly Partial<FlowFacts>[] = [
    {},
    { addressStored: true },
    { retry: true },
    { restarted: true },
    { selectAccount: true },
    { session: 'ses_1' },
    { chain: 'the-chain' },
    { round: { count: 2, firstAt: 5 } },
    { stepUp: { purpose: 'admin', session: 'ses_1', userId: 'u', adminSession: 'hash' } },
  ]
  for (const more of table) {
    const title = JSON.stringify(more)
    const begun = sealer().begin({ returnTo: RETURN_TO, ...more }, BINDING)
    const { id, nonce, codeVerifier, ...facts } = begun.flow
    t.strictSame(facts, { ...none, chain: id, ...more }, title)
    t.strictSame(opened(begun.state), { fault: undefined, flow: begun.flow }, `${title} opened`)
    t.match(
      { id, nonce, codeVerifier },
      { id: /^[\w-]{22}$/, nonce: /^[\w-]{43}$/, codeVerifier: /^[\w-]{43}$/ },
      title,
    )
    t.equal(sealer().chainOf(begun.state), more.chain ?? id, `${title} chain`)
  }
  const first = sealer().begin({ returnTo: RETURN_TO, round: { count: 1, firstAt: 5 } }, BINDING)
  t.strictSame(first.flow.round, { count: 1, firstAt: NOW }, 'the first round begins with its flow')
  t.strictSame(opened(first.state), { fault: undefined, flow: first.flow })
})

t.test('the binding is requested for the id of the flow, and whether it was restarted', async (t) => {
  for (const restarted of [true, false]) {
    const { flow, state } = sealer().begin({ returnTo: RETURN_TO, restarted }, BINDING)
    const requests: unknown[] = []
    sealer().open(state, (request) => {
      requests.push(request)
      return BINDING
    })
    t.strictSame(requests, [{ id: flow.id, restarted }])
  }
})

t.test('a flow lasts ten minutes, to the millisecond, and as long in the other direction', async (t) => {
  t.equal(FLOW_LIFETIME_MS, 600_000)
  const { flow, state } = sealer().begin({ returnTo: RETURN_TO, chain: 'the-chain' }, BINDING)
  const { nonce: _nonce, codeVerifier: _codeVerifier, ...facts } = flow
  for (const age of [-600_000, -599_999, 0, 599_999, 600_000]) {
    const flows = sealer([SECRET], NOW + age)
    t.strictSame(opened(state, flows), { fault: undefined, flow }, `${age} ms`)
    t.equal(flows.chainOf(state), 'the-chain', `${age} ms`)
  }
  for (const age of [-600_001, 600_001, 86_400_000]) {
    const flows = sealer([SECRET], NOW + age)
    const expired = { fault: 'state_expired', flow: facts }
    t.strictSame(opened(state, flows), expired, `${age} ms`)
    t.strictSame(opened(state, flows, null), expired, `${age} ms in another browser`)
    t.equal(flows.chainOf(state), undefined, `${age} ms`)
    t.equal(flows.idOf(state), flow.id, `${age} ms: the id stays readable`)
  }
})

t.test('nonce and verifier depend on the secret, the flow and the binding, and differ from one another', async (t) => {
  const { flow, state } = sealer().begin({ returnTo: RETURN_TO }, BINDING)
  const other = sealer(['b'.repeat(32)]).begin({ returnTo: RETURN_TO }, BINDING)
  const second = sealer().begin({ returnTo: RETURN_TO }, BINDING)
  const bound = sealer().begin({ returnTo: RETURN_TO }, newBinding())
  const values = [flow, other.flow, second.flow, bound.flow].flatMap(({ nonce, codeVerifier }) => [nonce, codeVerifier])
  t.equal(new Set(values).size, 8)
  t.strictSame(opened(state, sealer(['b'.repeat(32), SECRET])), { fault: undefined, flow })
})

t.test('a binding has 43 characters of base64url, of which the last one has no spare bits', async (t) => {
  const { flow, state } = sealer().begin({ returnTo: RETURN_TO }, BINDING)
  const { nonce: _nonce, codeVerifier: _codeVerifier, ...facts } = flow
  for (const good of [BINDING, `${'A'.repeat(42)}E`, `${'-_'.repeat(21)}8`, newBinding()]) {
    t.equal(isBinding(good), true, good)
  }
  const wrong = [
    undefined,
    '',
    'A'.repeat(42),
    'A'.repeat(44),
    'A'.repeat(86),
    `${'A'.repeat(42)}B`,
    `${'A'.repeat(42)}=`,
    `${'A'.repeat(43)}=`,
    `=${'A'.repeat(43)}`,
    ` ${'A'.repeat(43)}`,
    `${'A'.repeat(43)}\n`,
    `\n${'A'.repeat(43)}`,
    `${'A'.repeat(42)}+`,
    `${'A'.repeat(42)}/`,
  ]
  for (const value of wrong) {
    t.equal(isBinding(value), false, JSON.stringify(value))
    const result = opened(state, sealer(), value ?? null)
    t.strictSame(result, { fault: 'state_other_browser', flow: facts }, `opened with ${JSON.stringify(value)}`)
  }
})

t.test('a state that no secret sealed for this purpose is refused, reported and has no id', async (t) => {
  const { state } = sealer().begin({ returnTo: RETURN_TO }, BINDING)
  const content = JSON.stringify({ i: 'id', r: RETURN_TO, t: NOW, b: 'x' })
  t.equal(sealer().idOf(sealedFor('flow seal', content)), 'id', 'sealed for this purpose')
  const bytes = Buffer.from(state, 'base64url')
  const flipped = (index: number) =>
    Buffer.from(bytes.map((byte, at) => at === index ? byte ^ 1 : byte)).toString('base64url')
  const wrong = {
    'an empty state': '',
    'one character': 'A',
    '28 bytes': Buffer.alloc(28).toString('base64url'),
    '29 bytes': Buffer.alloc(29).toString('base64url'),
    'no content': sealedFor('flow seal', ''),
    'content that is not JSON': sealedFor('flow seal', 'x'),
    'another purpose': sealedFor('flow derive', content),
    'no purpose': sealedFor('', content),
    'the purpose without its end': sealedFor('flow ', content),
    'another salt': sealedFor('flow seal', content, { salt: '' }),
    'another secret': sealedFor('flow seal', content, { secret: 'b'.repeat(32) }),
    'a changed start': flipped(0),
    'changed content': flipped(12),
    'a changed end': flipped(bytes.length - 1),
    'a byte less': bytes.subarray(0, -1).toString('base64url'),
    'a byte more': Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url'),
    'padding': `${state}=`,
    'a blank before it': ` ${state}`,
    'a line end': `${state}\n`,
    'standard base64': inStandardBase64(() => sealer().begin({ returnTo: RETURN_TO }, BINDING).state),
  }
  for (const [title, text] of Object.entries(wrong)) {
    let unknown = 0
    const flows = sealer([SECRET, 'c'.repeat(32)], NOW, () => unknown++)
    const error = opened(text, flows)
    t.match(error, { code: 'state_invalid', remedy: /\S/ }, title)
    t.ok(error instanceof GatehouseError, title)
    t.strictSame({ unknown, id: flows.idOf(text), chain: flows.chainOf(text) }, {
      unknown: 1,
      id: undefined,
      chain: undefined,
    }, title)
  }
})

/** A state in standard base64, which differs from base64url: with a plus sign or a slash. */
function inStandardBase64(begin: () => string): string {
  const standard = Buffer.from(begin(), 'base64url').toString('base64').replace(/=+$/, '')
  return /[+/]/.test(standard) ? standard : inStandardBase64(begin)
}

t.test('without a secret no flow begins', async (t) => {
  t.throws(() => sealer([]).begin({ returnTo: RETURN_TO }, BINDING), { name: 'Error', message: /secret/ })
  t.match(opened('x', sealer([])), { code: 'state_invalid' })
})
