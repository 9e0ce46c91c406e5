// The answers for `gatehouse init`: from flags, and on a terminal from questions about what no flag sets. Every mistake
// of flags is reported in one run; a question is asked again, with the reason.
import {
  EMBEDDED,
  isRefused,
  misplaced,
  PROXIES,
  readApplication,
  readCertificatePath,
  readClient,
  readDatabase,
  readProxy,
  readPublicUrl,
  readTenant,
  type Answers,
  type Application,
  type Proxy,
  type Read,
} from '../init/answers.js'
import type { ValueProblem } from '../config/problem.js'
import type { Questions } from './questions.js'

export interface InitFlags {
  readonly tenant?: string
  readonly client?: string
  readonly publicUrl?: string
  readonly application?: readonly string[]
  readonly database?: string
  readonly proxy?: string
  readonly certificate?: string
  readonly certificateKey?: string
}

export interface FlagProblem {
  readonly flag: string
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** What was given by flags and is right; `applications` is empty where none is. */
export type Given = { -readonly [Name in keyof Answers]?: Answers[Name] } & { applications: Application[] }

const NEEDED = {
  tenant: "the Directory (tenant) ID of the Entra admin center's Overview page",
  'public-url': "where browsers will reach Gatehouse's own pages, e.g. https://auth.example.com",
  application: 'the host of an application, and where it listens, e.g. wiki.example.com=127.0.0.1:8080',
} as const

export function readFlags(flags: InitFlags): { readonly given: Given, readonly problems: FlagProblem[] } {
  const problems: FlagProblem[] = []
  const take = <T>(flag: string, text: string | undefined, read: (text: string) => Read<T>) => {
    if (text === undefined) return undefined
    const result = read(text)
    if (!isRefused(result)) return result.value
    problems.push(problemOf(flag, result))
    return undefined
  }
  const given: Given = { applications: [] }
  const keep = <Name extends keyof Given>(name: Name, value: Given[Name] | undefined) => {
    if (value !== undefined) given[name] = value
  }
  keep('tenant', take('tenant', flags.tenant, readTenant))
  keep('client', take('client', flags.client, readClient))
  keep('publicUrl', take('public-url', flags.publicUrl, readPublicUrl))
  for (const text of flags.application ?? []) {
    const application = take('application', text, readApplication)
    const refusal = application && given.publicUrl && misplaced(application, given.publicUrl, given.applications)
    if (refusal) problems.push(problemOf('application', refusal))
    else if (application) given.applications.push(application)
  }
  keep('database', take('database', flags.database, readDatabase))
  keep('proxy', take('proxy', flags.proxy, readProxy))
  keep('certificate', take('certificate', flags.certificate, readCertificatePath))
  keep('certificateKey', take('certificate-key', flags.certificateKey, readCertificatePath))
  return { given, problems }
}

const problemOf = (flag: string, { code, message, remedy }: ValueProblem): FlagProblem => ({
  flag: `--${flag}`,
  code,
  message: `--${flag} ${message}.`,
  remedy,
})

/** What no default can stand for. */
export function missing(flags: InitFlags): FlagProblem[] {
  const absent = {
    tenant: flags.tenant === undefined,
    'public-url': flags.publicUrl === undefined,
    application: (flags.application ?? []).length === 0,
  }
  return Object.entries(NEEDED).flatMap(([name, what]) =>
    absent[name as keyof typeof absent]
      ? [{ flag: `--${name}`, code: 'flag_missing', message: `--${name} is missing.`, remedy: `Give ${what}.` }]
      : []
  )
}

export function withDefaults(given: Given): Answers {
  return {
    tenant: given.tenant ?? '',
    client: given.client,
    publicUrl: given.publicUrl ?? '',
    applications: given.applications,
    database: given.database,
    proxy: given.proxy ?? 'nginx',
    certificate: given.certificate,
    certificateKey: given.certificateKey,
  }
}

/** Asks for everything that no flag sets. @throws InputEnded */
export async function askFor(
  given: Given,
  flags: InitFlags,
  questions: Questions,
  report: (text: string) => void,
): Promise<Answers> {
  const until = async <T>(question: string, read: (text: string) => Read<T>): Promise<T> => {
    for (;;) {
      const result = read(await questions.ask(question))
      if (!isRefused(result)) return result.value
      report(`  This ${result.message}.\n  ${result.remedy}`)
    }
  }
  const or = <T>(fallback: T, read: (text: string) => Read<T>) => (text: string) =>
    text === '' ? { value: fallback } : read(text)

  const tenant = given.tenant ?? await until('Directory (tenant) ID: ', readTenant)
  const client = given.client ??
    await until('Application (client) ID [not registered yet]: ', or<string | undefined>(undefined, readClient))
  const publicUrl = given.publicUrl ??
    await until("Address of Gatehouse's own pages, e.g. https://auth.example.com: ", readPublicUrl)
  const applications = await askForApplications(given.applications, publicUrl, until)
  const database = flags.database === undefined
    ? await until(
      `Database: ${EMBEDDED}, or postgres://... [${EMBEDDED}]: `,
      or<string | undefined>(undefined, readDatabase),
    )
    : given.database
  const proxy = given.proxy ?? await until(`Proxy: ${PROXIES.join(', ')} [nginx]: `, or<Proxy>('nginx', readProxy))
  return { ...withDefaults(given), tenant, client, publicUrl, applications, database, proxy }
}

async function askForApplications(
  given: readonly Application[],
  publicUrl: string,
  until: <T>(question: string, read: (text: string) => Read<T>) => Promise<T>,
): Promise<readonly Application[]> {
  if (given.length > 0) return given
  const applications: Application[] = []
  for (;;) {
    const question = applications.length === 0
      ? 'Host of the application and where it listens, e.g. wiki.example.com=127.0.0.1:8080: '
      : 'Another application [no]: '
    const next = await until<Application | undefined>(question, (text) => {
      if (text === '' && applications.length > 0) return { value: undefined }
      const read = readApplication(text)
      return isRefused(read) ? read : misplaced(read.value, publicUrl, applications) ?? read
    })
    if (next === undefined) return applications
    applications.push(next)
  }
}
