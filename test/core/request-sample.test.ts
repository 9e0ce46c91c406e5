// What is sampled of requests: at most so many in a second, never a query, and no part of a path that may be a secret.
import t from 'tap'
import { createRequestSample, sampledPath } from '../../src/core/request-sample.js'
import { createSampleHours } from '../../src/core/request-sample-hours.js'
import { parseTarget, parseTargetUrl } from '../../src/core/target.js'

const HOUR = 3_600_000
const AT = Date.UTC(2026, 10, 28, 9)

const GROUNDS = { path: 'access.rules[0]', allow: 'authenticated', allows: '', description: '' } as const
const target = (url: string, method = 'GET') => parseTargetUrl(url, method)

function scene(perSecond = 10) {
  const settings = { perSecond }
  const sample = createRequestSample(() => settings.perSecond)
  sample.nextSecond()
  const taken = () =>
    sample.take().map(({ userId, method, host, path, isCut, rule, count }) =>
      `${userId ?? 'nobody'} ${method} ${host}${path}${isCut ? '…' : ''} by ${rule || 'none'}: ${count}`
    )
  return { sample, settings, taken }
}

t.test('equal requests are counted together, without their query', (t) => {
  const { sample, taken } = scene()
  const grounds = { ...GROUNDS, hits: { key: 'k1', count: 0 } }
  sample.note(target('https://App.test/a?token=1'), 'u1', grounds)
  sample.note(target('https://app.test/a?token=2'), 'u1', grounds)
  sample.note(target('https://app.test/a', 'POST'), 'u1', grounds)
  sample.note(target('https://app.test:8443/a'), 'u2', GROUNDS)
  sample.note(target('https://app.test/a'), undefined, undefined)
  sample.note(undefined, 'u1', grounds)
  t.strictSame(taken(), [
    'u1 GET app.test/a by k1: 2',
    'u1 POST app.test/a by k1: 1',
    'u2 GET app.test:8443/a by none: 1',
    'nobody GET app.test/a by none: 1',
  ])
  t.strictSame(taken(), [], 'they are taken once')
  t.end()
})

t.test('equal requests have the same key in every process, all others another one', (t) => {
  const keyOf = (user: string | undefined, url: string) => {
    const { sample } = scene()
    sample.note(target(url), user, GROUNDS)
    return sample.take()[0]?.key
  }
  t.equal(keyOf('u1', 'https://app.test/a/b/c/d'), keyOf('u1', 'https://app.test/a/b/c/e'))
  const keys = [
    keyOf('u1', 'https://app.test/a/b/c'),
    keyOf('u1', 'https://app.test/a/b/c/d'),
    keyOf('u2', 'https://app.test/a/b/c'),
    keyOf(undefined, 'https://app.test/a/b/c'),
  ]
  t.equal(new Set(keys).size, keys.length)
  t.end()
})

// proves: policy-sample-bounded
t.test('so many requests in a second, those without a session apart, and none where it is 0', (t) => {
  const { sample, settings, taken } = scene(2)
  for (let n = 0; n < 5; n++) sample.note(target(`https://app.test/${n}`), undefined, undefined)
  for (let n = 0; n < 5; n++) sample.note(target(`https://app.test/${n}`), 'u1', undefined)
  t.equal(taken().length, 4)
  sample.nextSecond()
  sample.note(target('https://app.test/'), 'u1', undefined)
  t.equal(taken().length, 1)
  settings.perSecond = 0
  sample.nextSecond()
  sample.note(target('https://app.test/'), 'u1', undefined)
  sample.note(target('https://app.test/'), undefined, undefined)
  t.strictSame(taken(), [])
  t.end()
})

t.test('different requests between two writes are bounded, and so is each of them', (t) => {
  const { sample, settings } = scene()
  settings.perSecond = 1_000_000
  sample.nextSecond()
  for (let n = 0; n < 3_000; n++) sample.note(target(`https://app.test/${n}`), 'u1', undefined)
  t.equal(sample.take().length, 2_000)
  sample.note(target(`https://${'a.'.repeat(140)}test/`), 'u1', undefined)
  sample.note(target('https://app.test/', 'X'.repeat(21)), 'u1', undefined)
  t.strictSame(sample.take(), [])
  t.end()
})

// proves: policy-sample-segments
t.test('three segments of a path are kept, none that is long or has a parameter', (t) => {
  const long = 'x'.repeat(65)
  for (
    const [path, kept, isCut] of [
      ['/', '/', false],
      ['/a/b/c', '/a/b/c', false],
      ['/a/b/c/', '/a/b/c', true],
      ['/a/b/c/d/e', '/a/b/c', true],
      ['/a/', '/a/', false],
      [`/a/${long}/c`, '/a', true],
      [`/${long}`, '/', true],
      [`/a/b/c/${long}`, '/a/b/c', true],
      ['/a/b;jsessionid=1/c', '/a', true],
      ['/a/b%3bjsessionid=1', '/a', true],
      ['/a/b%3Ftoken=1', '/a', true],
      ['/a/%C3%A9%20x', '/a/%C3%A9%20x', false],
      ['//a/../b', '//a/..', true],
    ] as const
  ) t.strictSame(sampledPath(path), { path: kept, isCut }, path)
  const raw = parseTarget({
    scheme: 'https',
    host: 'app.test',
    uri: Buffer.from('/é').toString('latin1'),
    method: 'GET',
  })
  t.strictSame(sampledPath(raw.path), { path: '/%C3%A9', isCut: false }, 'bytes are encoded')
  t.end()
})

// proves: policy-sample-hours-bounded
t.test('a row holds the whole of its hour, and rows that cannot be written are bounded', (t) => {
  const hours = createSampleHours(3)
  const request = (key: string, count = 1) => ({
    key,
    userId: null,
    host: 'a.test',
    method: 'GET',
    path: '/',
    isCut: false,
    rule: '',
    count,
  })
  const unwritten = () => hours.unwritten().map(({ key, hour, count }) => [key, hour.getTime(), count])
  hours.add(AT, [request('a', 2), request('b')])
  hours.written(hours.unwritten())
  t.strictSame(unwritten(), [])
  hours.add(AT + 1, [request('a')])
  t.strictSame(unwritten(), [['a', AT, 3]])
  hours.add(AT + HOUR, [request('a')])
  t.strictSame(unwritten(), [['a', AT, 3], ['a', AT + HOUR, 1]])
  hours.add(AT + HOUR, [request('b'), request('c')])
  t.strictSame(unwritten(), [['a', AT, 3], ['a', AT + HOUR, 1]], 'there is no room for more')
  hours.written(hours.unwritten())
  hours.add(AT, [request('c')])
  t.strictSame(unwritten(), [['c', AT + HOUR, 1]], 'a clock that was set back')
  t.end()
})
