// What Gatehouse proves itself with: a secret, a certificate or a workload's token, in whole logins and in dry runs.
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { exportJWK, SignJWT, type JSONWebKeySet } from 'jose'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.js'
import { ConfigError } from '../../src/config/problem.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { DAY } from '../../src/demo/entra/certificates.js'
import { errorCode } from '../helpers/assertions.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { writePair } from '../helpers/key-pair.js'
import { connect, dump } from '../helpers/sql.js'

const execute = promisify(execFile)

const folder = (t: Test): string => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-credential-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  return directory
}
const assertions = (gateway: TestGateway): string[] =>
  gateway.entra.requests.flatMap(({ form }) =>
    typeof form?.client_assertion === 'string' ? [form.client_assertion] : []
  )
/** Nothing that proves who we are is anywhere but in the request. */
const leaksNothing = async (t: Test, gateway: TestGateway, secrets: readonly string[]): Promise<void> => {
  const places = [gateway.rawLog.join('\n'), await dump(await connect(t, gateway.databaseUrl))]
  for (const secret of secrets) for (const place of places) t.notOk(place.includes(secret), secret.slice(0, 20))
}
const explain = async (t: Test, gateway: TestGateway): Promise<number> => {
  const file = join(folder(t), 'gatehouse.yaml')
  const { entra } = gateway.config
  const { tenantId, clientId, authorityHost, graphUrl, certificate, federatedTokenFile } = entra
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: gateway.url },
      entra: { tenantId, clientId, authorityHost, graphUrl, allowHttp: true, certificate, federatedTokenFile },
      database: { url: gateway.databaseUrl },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
      groupMapping: [],
    }),
  )
  return await execute(process.execPath, ['dist/cli.js', 'explain', PERSON_IDS.staff, '--config', file]).then(
    () => 0,
    (error: { code: number }) => error.code,
  )
}

for (const algorithm of ['PS256', 'RS256'] as const) {
  t.test(`a certificate, ${algorithm}`, async (t) => {
    const directory = folder(t)
    const { pem, privateKey } = writePair(directory)
    const gateway = await startTestGateway(t, {
      config: {
        entra: {
          clientSecret: undefined,
          certificate: { keyFile: join(directory, 'key.pem'), certFile: join(directory, 'cert.pem'), algorithm },
        },
      },
      app: { secrets: [], certificates: [{ pem }], applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] },
    })
    t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
    t.equal(await explain(t, gateway), 0, 'and for Gatehouse itself')
    const headers = assertions(gateway).map((assertion) =>
      JSON.parse(Buffer.from(assertion.split('.')[0] ?? '', 'base64url').toString()) as Record<string, string>
    )
    t.equal(headers.length, 2)
    for (const header of headers) {
      t.strictSame(Object.keys(header), ['alg', 'typ', algorithm === 'PS256' ? 'x5t#S256' : 'x5t'])
    }

    await t.test('is read again for each login: the pair may be exchanged', async (t) => {
      const next = writePair(directory)
      const { answer } = await gateway.signIn(PERSON_IDS.staff)
      t.equal(answer.status, 502)
      t.equal(errorCode(answer), 'entra_secret_wrong')
      t.match(gateway.log.find((line) => line.code === 'entra_secret_wrong'), { aadsts: 700027, remedy: /certFile/ })
      gateway.entra.app.certificates?.push({ pem: next.pem })
      t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
    })

    await t.test('half exchanged, it is not sent at all', async (t) => {
      const sent = assertions(gateway).length
      writeFileSync(join(directory, 'cert.pem'), pem)
      const { answer } = await gateway.signIn(PERSON_IDS.staff)
      t.equal(answer.status, 502)
      t.equal(errorCode(answer), 'entra_credential_unusable')
      rmSync(join(directory, 'key.pem'))
      t.equal(errorCode((await gateway.signIn(PERSON_IDS.staff)).answer), 'entra_credential_unusable')
      t.equal(assertions(gateway).length, sent)
    })
    await leaksNothing(t, gateway, [
      ...assertions(gateway),
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().split('\n')[1] ?? '',
    ])
  })
}

t.test("a workload's token, read anew for each request", async (t) => {
  const file = join(folder(t), 'token')
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwks: JSONWebKeySet = { keys: [{ ...await exportJWK(publicKey), kid: 'cluster', alg: 'RS256', use: 'sig' }] }
  const trust = {
    issuer: 'https://oidc.cluster.example/',
    subject: 'system:serviceaccount:gatehouse:gatehouse',
    audience: 'api://AzureADTokenExchange',
    jwks,
  }
  const token = async (over: { subject?: string, exp?: string } = {}): Promise<string> =>
    await new SignJWT().setProtectedHeader({ alg: 'RS256', kid: 'cluster' }).setIssuer(trust.issuer)
      .setSubject(over.subject ?? trust.subject).setAudience(trust.audience).setIssuedAt().setExpirationTime(
        over.exp ?? '1h',
      ).setJti(String(Math.random())).sign(privateKey)
  const first = await token()
  writeFileSync(file, `${first}\n`)
  const gateway = await startTestGateway(t, {
    config: { entra: { clientSecret: undefined, federatedTokenFile: file } },
    app: {
      secrets: [],
      federatedCredentials: [trust],
      applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'],
    },
  })
  t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
  const second = await token()
  writeFileSync(file, second)
  t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
  t.equal(await explain(t, gateway), 0)
  t.strictSame(assertions(gateway), [first, second, second])
  for (
    const [name, text, expected] of [
      ['of another workload', await token({ subject: 'system:serviceaccount:other:other' }), 'entra_secret_wrong'],
      ['that has expired', await token({ exp: '-10m' }), 'entra_secret_wrong'],
      ['no token', 'hello', 'entra_credential_unusable'],
      ['empty', '', 'entra_credential_unusable'],
      ['two', `${first}\n${second}`, 'entra_credential_unusable'],
    ] as const
  ) {
    writeFileSync(file, text)
    const { answer } = await gateway.signIn(PERSON_IDS.staff)
    t.equal(answer.status, 502, name)
    t.equal(errorCode(answer), expected, name)
  }
  await leaksNothing(t, gateway, assertions(gateway))
})

t.test('a pair that cannot work is found when the configuration is read', async (t) => {
  const directory = folder(t)
  const { pem } = writePair(directory)
  const good = { keyFile: 'key.pem', certFile: 'cert.pem' }
  const write = (name: string, text: string | Buffer): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return name
  }
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const look = (certificate: object): string[] => {
    writeFileSync(
      join(directory, 'gatehouse.yaml'),
      stringify({
        server: { publicUrl: 'https://auth.corp.test' },
        entra: { tenantId: PERSON_IDS.staff, clientId: PERSON_IDS.guest, certificate },
        database: { url: 'postgres://g@db/g' },
        session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
        keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
        groupMapping: [{ entraGroup: PERSON_IDS.staff, superuser: true, staff: true }],
      }),
    )
    try {
      return loadConfig(join(directory, 'gatehouse.yaml'), { env: {} }).warnings.map((warning) =>
        `${warning.path} ${warning.code}`
      )
    } catch (error) {
      return error instanceof ConfigError
        ? error.problems.map((problem) => `${problem.path} ${problem.code}`)
        : [String(error)]
    }
  }
  t.strictSame(look(good), [])
  t.strictSame(look({ ...good, keyFile: 'nowhere.pem' }), ['entra.certificate.keyFile secret_file_missing'])
  t.strictSame(look({ ...good, certFile: 'nowhere.pem' }), ['entra.certificate.certFile secret_file_missing'])
  t.strictSame(look({ ...good, keyFile: write('text.pem', 'hello') }), ['entra.certificate.keyFile key_unreadable'])
  t.strictSame(
    look({
      ...good,
      keyFile: write(
        'locked.pem',
        rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }),
      ),
    }),
    ['entra.certificate.keyFile key_encrypted'],
  )
  t.strictSame(look({ ...good, keyFile: write('ec.pem', ec.export({ type: 'pkcs8', format: 'pem' })) }), [
    'entra.certificate.keyFile key_unsuitable',
  ])
  t.strictSame(
    look({
      ...good,
      keyFile: write(
        'small.pem',
        generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
      ),
    }),
    ['entra.certificate.keyFile key_unsuitable'],
  )
  t.strictSame(look({ ...good, keyFile: write('other.pem', rsa.export({ type: 'pkcs1', format: 'pem' })) }), [
    'entra.certificate.certFile certificate_mismatch',
  ])
  t.strictSame(look({ ...good, certFile: write('nocert.pem', 'hello') }), [
    'entra.certificate.certFile certificate_unreadable',
  ])
  t.strictSame(look({ ...good, certFile: write('chain.pem', `${pem}${pem}`) }), [])
  chmodSync(join(directory, 'key.pem'), 0o644)
  t.strictSame(look(good), ['entra.certificate.keyFile secret_file_open'])
  writePair(directory, { until: Date.now() + 10 * DAY })
  chmodSync(join(directory, 'key.pem'), 0o600)
  t.strictSame(look(good), ['entra.certificate.certFile certificate_expiring'])
})
