// docs/errors.md: every code that a person or an operator may meet, from the tables that the program itself goes by.
import {
  COMMAND_FAILURES,
  FAILURES,
  LOGIN_FAILURES,
  RETRY_WITH_NEW_SIGN_IN,
  START_FAILURES,
  type ErrorCode,
} from '../core/errors.js'
import { aadstsMeanings } from '../entra/aadsts-meanings.js'
import { graphMeanings } from '../entra/graph-errors.js'

const PREFACE = `# Error codes

Made from the program's own tables (\`node scripts/generate-config-docs.mjs\` writes it); a test keeps it so.

Every error has a status, a stable code, one sentence for the person and a correlation id; the log line with that id
has the detail, Microsoft's own ids and,
where an operator can do something, a \`remedy\`. Programs get the same as JSON: \`error\`, \`message\`,
\`correlation_id\`. "again" marks what sends the person to sign in once more by itself, once.

The last column shows where an operator sees the code:

- \`login\`: the series \`gatehouse_login_duration_seconds_count{result="CODE"}\` grows by each such sign-in;
- \`refused\`: the series \`gatehouse_requests_refused_total{code="CODE"}\` grows, and the log has a line, or counts it
  beyond \`log.budget\`;
- \`readyz PART\`: that part of \`/readyz\` shows it;
- \`start\`: the last line of the log of a start that fails;
- \`command\`: the command that meets it prints it.

[Faults and what comes of them](faults.md) shows which fault ends in which code;
[Troubleshooting](group-mapping.md#troubleshooting) goes by symptom.
`

export function errorReference(): string {
  const codes = (Object.keys(FAILURES) as ErrorCode[]).map((code) => {
    const again = RETRY_WITH_NEW_SIGN_IN.has(code) ? ' again' : ''
    return [`\`${code}\``, `${FAILURES[code].status}${again}`, FAILURES[code].sentence, signsOf(code).join(', ')]
  })
  const aadsts = aadstsMeanings().map(({ number, code, remedy }) => [`AADSTS${number}`, `\`${code}\``, remedy])
  const graph = graphMeanings().map(({ status, code, remedy }) => [status, `\`${code}\``, remedy])
  return [
    PREFACE,
    `## Codes\n\n${table(['code', 'status', 'what the person reads', 'where operators see it'], codes)}\n`,
    `## Codes of Entra ID\n\nMicrosoft reserves the right to change its codes; one that is not here is
\`entra_request_refused\`, or \`entra_unavailable\` with a status of 429 or 500 and above.\n\n${
      table(['Entra ID', 'code', 'what to do'], aadsts)
    }\n`,
    `## Codes of Graph\n\n${table(['status', 'code', 'what to do'], graph)}\n`,
  ].join('\n')
}

/** Where an operator sees that a code was met; every code has one place at least. */
export function signsOf(code: ErrorCode): readonly string[] {
  if (COMMAND_FAILURES.has(code)) return ['command']
  if (START_FAILURES.has(code)) return ['start']
  const part = PARTS_OF_READYZ.find(([codes]) => codes.test(code))?.[1]
  return [
    ...(LOGIN_FAILURES.includes(code) ? ['login'] : []),
    'refused',
    ...(part === undefined ? [] : [`readyz ${part}`]),
  ]
}

const PARTS_OF_READYZ: readonly (readonly [RegExp, string])[] = [
  [/^database_unavailable$/, 'database'],
  [/^entra_(?:unavailable|timeout)$/, 'entra'],
  [/^graph_(?:throttled|unavailable|timeout)$/, 'graph'],
  [/^sync_lock_unavailable$/, 'sync'],
]

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}
