// The keys about people and their rights: the mapping, the steps of a login, access rules, identity headers.
import type { TUnsafe } from 'typebox'
import { HEADER_ENCODINGS, HEADER_VALUES, type HeaderValue } from '../core/identity-headers.js'
import { choice, count, duration, flag, leaf, list, section } from './schema-parts.js'
import { Type } from './schema-types.js'

const localGroup = leaf('groupName', 'The exact name of a local group.')
const permission = leaf('permission', 'A permission: words joined by dots, like netbox.view.')
const onlyTrue = (description: string): TUnsafe<true> =>
  Type.Unsafe<true>({ type: 'boolean', enum: [true], description })

export const mappingRow = section('One Entra group and all that it grants.', {
  entraGroup: leaf('entraGroup', 'The Object ID of the Entra group, never its display name.'),
  label: Type.Optional(leaf('text', 'What people read instead of the Object ID.', { maxLength: 150 })),
  groups: list(localGroup, 'The local groups that its members are in: exact names of groups that exist.', {
    default: [],
  }),
  staff: flag('Its members are staff.', false),
  superuser: flag('Its members are superusers; this does not imply staff.', false), // guard: flags-off-by-default
})

export const authAllowedSection = section('Whom the optional step auth_allowed lets in.', {
  emailDomains: list(
    leaf('hostName', 'A domain, like example.com.'),
    'The domains that a verified e-mail address may have; empty: all.',
    { default: [] },
  ),
  guests: flag('Guests of the tenant may sign in.', true),
})

const allowWhom = section('Any one of these is enough.', {
  groups: list(localGroup, 'Members of any of these local groups.', { default: [] }),
  permissions: list(permission, 'Holders of any of these permissions.', { default: [] }),
  staff: Type.Optional(onlyTrue('Staff.')),
  superuser: Type.Optional(onlyTrue('Superusers.')),
})

const accessRule = section('One rule; every part that is given must match.', {
  name: Type.Optional(
    leaf('ruleName', 'What people read in place of access.rules[0]: 1 to 80 visible characters, once.'),
  ),
  hosts: list(
    leaf('hostPattern', 'A host, `*.suffix` for every host below it, or either with a port.'),
    'The hosts it is about: `host`, `*.suffix` (not the suffix itself), either with `:port`.',
    { minItems: 1 },
  ),
  networks: Type.Optional(
    list(
      leaf('network', 'An address, a CIDR range, or loopback, linklocal, uniquelocal.'),
      'Only requests from these networks.',
      { minItems: 1 },
    ),
  ),
  methods: Type.Optional(
    list(leaf('method', 'An HTTP method in capitals.'), 'Only these HTTP methods.', { minItems: 1 }),
  ),
  paths: Type.Optional(
    list(
      leaf('pathPattern', 'A path; `*` stands for one segment, `**` for any number.'),
      'Only these paths: `*` stands for one segment, a last `**` for any number of them.',
      { minItems: 1 },
    ),
  ),
  allow: Type.Union([
    choice(['anyone', 'authenticated', 'deny'], 'Every request, every signed-in user, or no request.'),
    allowWhom,
  ], {
    description: 'Whom it lets in: `anyone`, `authenticated`, `deny`, or any of groups, permissions, staff, superuser.',
  }),
  enforce: flag(
    'false makes a shadow rule of it: the rules below decide as if it were not there, and what it would have decided ' +
      'is counted and logged.',
    true,
  ),
})

export const accessSection = section(
  'Who may see what; the first matching rule decides, and superusers pass every rule.',
  {
    default: choice(['authenticated', 'deny'], 'What holds where no rule matches.', { default: 'authenticated' }),
    rules: list(accessRule, 'The rules, in order.', { default: [] }),
    sample: count(
      'How many requests of users, and how many without a session, each replica and worker notes in a second at most ' +
        '(the first ones), so that the preview of a draft can say which of them it would decide otherwise. Kept for ' +
        '24 hours, where the console is on: rule, host, method, the first three segments of the path, the user, and ' +
        'how often. 0 notes none.',
      { minimum: 0, maximum: 1000, default: 20 },
    ),
  },
)

const extraHeader = section('One more identity header.', {
  name: leaf('headerName', 'The name of the header.'),
  value: choice(Object.keys(HEADER_VALUES) as HeaderValue[], 'The value of the header.'),
  separator: leaf('separator', 'The character between the entries of a list.', { default: ',' }),
  encoding: choice(
    [...HEADER_ENCODINGS],
    'How characters outside ASCII are written: `percent` for applications that decode, `latin1` (one byte each, as ' +
      'far as ISO 8859-1 has them) for those that do not.',
    { default: 'percent' },
  ),
})

export const headersSection = section('The identity headers on a 200.', {
  families: list(
    choice(['x-auth-request', 'remote', 'assertion'], 'A family of headers.'),
    'The families of headers: X-Auth-Request-*, Remote-*, and X-Gatehouse-Assertion.',
    { default: ['x-auth-request', 'remote', 'assertion'] },
  ),
  maxBytes: count('The most bytes that all identity headers together may have; more is refused, never cut.', {
    minimum: 512,
    maximum: 65536,
    default: 8192,
  }),
  extra: list(extraHeader, 'More headers, by name.', { default: [] }),
})

export const syncSection = section('The re-evaluation of users with active sessions.', {
  interval: duration(
    'How often users with active sessions are re-evaluated; those whom delta queries of Graph name come first. With ' +
      'more than 300 users for each second of it the others wait longer, up to the two limits below.',
    { min: '10s', max: '1d', default: '5m' },
  ),
  privilegedStaleness: duration(
    'Staff and superusers whom Graph has not answered about for longer lose both flags, until it answers.',
    { min: '10s', max: '30d', default: '1h' },
  ),
  maxStaleness: Type.Optional(
    duration('A user whose last successful re-evaluation is older loses their sessions; absent: no limit.', {
      min: '10s',
      max: '90d',
    }),
  ),
})
