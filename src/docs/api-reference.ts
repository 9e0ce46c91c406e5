// docs/api.md: every endpoint of the admin API with its permission, parameters and an example, from its OpenAPI
// document.
import { exampleOf, type Schema } from './api-example.js'

const PREFACE = `# The admin API

Made from [openapi.json](openapi.json), the OpenAPI 3.1 document of the API; \`npm run generate:api\` writes both.
A running gateway serves its own document at \`GET /admin/api/v1/openapi.json\`.

The API exists where the section \`admin\` is configured ([configuration.md](configuration.md#admin)).
It calls the same functions as the pages of the console and the commands, so all three show the same.

## What holds for every endpoint

- Addresses are below \`/admin/api/v1\`.
- An API token authenticates (\`Authorization: Bearer gha_...\`, [console.md](console.md#api-tokens)), or the cookie of
  the admin session, which a sign-in at \`/admin\` gives.
  The session cookie of applications is not accepted.
  A token decides alone: no cookie counts beside it.
- Each endpoint needs one permission.
  Staff have \`gatehouse.read\`, superusers have every one, and local groups give single ones
  ([group-mapping.md](group-mapping.md)).
  Every permission that begins with \`gatehouse.\` includes \`gatehouse.read\`.
- Who has none of them gets 404, as for an address that does not exist.
  Who lacks the one that an endpoint needs gets 403 \`not_allowed\`.
- Lists answer \`{ "items": [...], "next": "..." }\`.
  \`?after=\` with \`next\` gives the next page, and \`null\` means that there is none.
  \`?limit=\` is 1 to 200, and 50 by default.
- Unknown and repeated parameters are refused, so that a misspelt filter does not show everything.
- Instants are ISO 8601 in UTC.
- Names in addresses are percent-encoded, such as \`Network%20Engineers\`; other characters must not be.
- A request with the cookie that is no \`GET\` must come from the origin of the gateway.
  It has the header \`X-CSRF-Token\` with the token that \`GET /me\` gives.
- What changes something is declared in the document (\`x-act\`): whether it needs a sign-in within \`admin.stepUp\`
  (403 \`step_up_required\` with the address in \`stepUp\`), the header \`If-Match\` with the \`ETag\` of the object
  (428 without it, 412 when the object is another one now; \`*\` is refused), and a reason.
  Administrators give only what they hold themselves (403 \`above_own_rights\`).
  What needs a sign-in within \`admin.stepUp\`, and acts whose \`byToken\` is false, are never done by an API token (403
  \`not_by_token\`).
  [decisions/admin-acts.md](decisions/admin-acts.md) has the order of the checks.
- One admin session may ask 600 times a minute, and one client address 1,200 times with API tokens; then the answer is
  429 with \`Retry-After\`.
- No answer may be stored (\`Cache-Control: no-store\`).

## Errors

Errors are \`application/problem+json\` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):

${
  json({
    type: 'about:blank',
    title: 'Bad Request',
    status: 400,
    detail: 'The address contains an unknown parameter.',
    code: 'query_unknown',
    correlationId: '5f0c2f0e-7d0b-4a52-9d7c-0f8f3d1b1c55',
    parameter: 'staf',
  })
}

\`code\` is stable ([errors.md](errors.md)), and \`detail\` is for people and may change.
\`correlationId\` is the same as in the log.
\`parameter\` is there where one was refused.
`

interface Operation {
  readonly summary: string
  readonly description: string
  readonly tags: readonly string[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Media }
  readonly responses: Readonly<Record<string, { readonly $ref?: string, readonly content?: Media }>>
}
interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly description?: string
  readonly schema: Schema
}
type Media = Readonly<Record<string, { readonly schema: Schema }>>

export function apiReference(document: Readonly<Record<string, unknown>>): string {
  const paths = document['paths'] as Readonly<Record<string, Readonly<Record<string, Operation>>>>
  const common = commonCodes(document['components'] as { readonly responses: Operation['responses'] })
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ title: `${method.toUpperCase()} ${path}`, operation }))
  )
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))].sort()
  const sections = tags.flatMap((tag) => [
    `## ${tag}\n`,
    ...operations.filter(({ operation }) => operation.tags.includes(tag)).map(({ title, operation }) =>
      operationText(title, operation, common)
    ),
  ])
  const everywhere = `Every endpoint can answer ${[...common].map((code) => `\`${code}\``).join(', ')}.\n`
  return `${[PREFACE, wrapped(everywhere), ...sections].join('\n').trimEnd()}\n`
}

function operationText(title: string, operation: Operation, common: ReadonlySet<string>): string {
  const { summary, description, parameters = [], requestBody, responses } = operation
  const [about = '', needs = ''] = description.includes('\n\n') ? description.split('\n\n') : ['', description]
  const own = Object.values(responses).flatMap(codesOf).filter((code) => !common.has(code))
  const answer = responses['200']?.content?.['application/json']?.schema
  const body = requestBody?.content['application/json']?.schema
  return [
    `### \`${title}\`\n`,
    `${summary}.\n${about === '' ? '' : sentences(about)}${sentences(needs)}`,
    ...(parameters.length > 0 ? [parameterTable(parameters)] : []),
    ...(body ? [`Body:\n\n${json(exampleOf(body))}\n`] : []),
    ...(answer ? [`Answer:\n\n${json(exampleOf(answer))}\n`] : []),
    ...(own.length > 0 ? [wrapped(`It can also answer ${own.map((code) => `\`${code}\``).join(', ')}.\n`)] : []),
  ].join('\n')
}

function parameterTable(parameters: readonly Parameter[]): string {
  const rows = parameters.map((
    { name, in: place, required, description = '', schema },
  ) => [`\`${name}\``, `${place}${required ? ', needed' : ''}`, typeOf(schema), description.replace(/\s+/g, ' ')])
  return `${
    [['parameter', 'in', 'type', 'meaning'], ['---', '---', '---', '---'], ...rows].map((row) =>
      `| ${row.join(' | ')} |`
    )
      .join('\n')
  }\n`
}

function typeOf({ type, format, enum: values, anyOf, minimum, maximum }: Schema): string {
  const choices = values ?? anyOf?.flatMap((part) => part.const ?? part.enum ?? [])
  if (choices !== undefined && choices.length > 0) return choices.map((value) => `\`${String(value)}\``).join(', ')
  const range = minimum === undefined || maximum === undefined ? '' : ` ${minimum} to ${maximum}`
  return `${format ?? String(type)}${range}`
}

function commonCodes({ responses }: { readonly responses: Operation['responses'] }): ReadonlySet<string> {
  return new Set(Object.values(responses).flatMap(codesOf))
}

function codesOf({ content }: Operation['responses'][string]): readonly string[] {
  const [, constraint] = content?.['application/problem+json']?.schema.allOf ?? []
  return (constraint?.properties?.['code']?.enum ?? []).map(String)
}

function json(value: unknown): string {
  return `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``
}

/** A line for each sentence. */
function sentences(text: string): string {
  return text.split(/(?<=[.]) (?=[A-Z])/).map((sentence) => `${wrapped(sentence)}\n`).join('')
}

/** Lines of at most 120 characters, broken at blanks. */
function wrapped(text: string): string {
  return text.replace(/(?=.{121})(.{1,120}) /g, '$1\n')
}
