// The tables. `npm run db:generate` writes a migration for what changes here.
import { sql, type SQLWrapper } from 'drizzle-orm'
import {
  bigint,
  bigserial,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { Image } from '../core/image.js'
import type { Cause } from '../core/mapping.js'
import type { ApplicationPass, ApplicationState } from '../core/policy-application.js'
import type { PreviewResult, PreviewState } from '../core/policy-preview.js'
import type { VersionFinding, VersionSource } from '../core/policy-version.js'
import type { Verdict } from '../core/reviews.js'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const snapshot = customType<{ data: string }>({ dataType: () => 'pg_snapshot' })
const int8multirange = customType<{ data: string }>({ dataType: () => 'int8multirange' })
const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' })
/** For prefixes: in the order of the bytes. */
const inByteOrder = (term: SQLWrapper) => sql`(${term}) collate "C"`
const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

export const users = pgTable('users', {
  id: uuid('id').primaryKey().defaultRandom(),
  username: text('username').notNull(),
  /** NFKC and lower case (core/user.ts). */
  usernameKey: text('username_key').notNull().unique(),
  email: text('email'),
  emailVerified: boolean('email_verified').notNull().default(false),
  name: text('name'),
  givenName: text('given_name'),
  familyName: text('family_name'),
  isActive: boolean('is_active').notNull().default(true),
  isStaff: boolean('is_staff').notNull().default(false),
  isSuperuser: boolean('is_superuser').notNull().default(false),
  isBreakGlass: boolean('is_break_glass').notNull().default(false),
  /** Which mapping rows grant the flag, and since when; null where none does. */
  staffCause: jsonb('staff_cause').$type<readonly Cause[]>(),
  staffSince: instant('staff_since'),
  superuserCause: jsonb('superuser_cause').$type<readonly Cause[]>(),
  superuserSince: instant('superuser_since'),
  createdAt: instant('created_at').notNull().defaultNow(),
  lastLoginAt: instant('last_login_at'),
}, (table) => [
  index('users_email').on(sql`lower(${table.email})`),
  index('users_username').on(table.username),
  index('users_staff').on(table.username).where(sql`${table.isStaff}`),
  index('users_superuser').on(table.username).where(sql`${table.isSuperuser}`),
  // store/people-filters.ts
  index('users_inactive').on(table.username).where(sql`not ${table.isActive}`),
  index('users_signed_in').on(sql`coalesce(${table.lastLoginAt}, ${table.createdAt})`),
  // store/people-search.ts
  index('users_search_username').on(inByteOrder(table.usernameKey), table.id),
  index('users_search_email').on(inByteOrder(sql`lower(${table.email})`), table.id),
  index('users_search_name').on(inByteOrder(sql`lower(${table.name})`), table.id),
  index('users_search_family_name').on(inByteOrder(sql`lower(${table.familyName})`), table.id),
  check('users_username_not_empty', sql`${table.username} <> ''`),
])

/** What each user is called, for searches (store/people-search.ts): a trigger keeps it. */
export const userNames = pgTable('user_names', {
  userId: uuid('user_id').primaryKey().references(() => users.id, { onDelete: 'cascade' }),
  /** Username key, e-mail address, display name and family name in lower case, one a line. */
  names: text('names').notNull(),
})

/** Former usernames, of removed and renamed users. */
export const retiredUsernames = pgTable('retired_usernames', {
  usernameKey: text('username_key').primaryKey(),
  retiredAt: instant('retired_at').notNull().defaultNow(),
  /** Other people get the name RELEASED_NAME_DAYS after this; null: never. */
  releasedAt: instant('released_at'),
  /** The renamed user, for whom the name stays available. */
  holderId: uuid('holder_id').references(() => users.id, { onDelete: 'set null' }),
}, (table) => [index('retired_usernames_holder').on(table.holderId)])

export const identities = pgTable('identities', {
  tid: uuid('tid').notNull(),
  oid: uuid('oid').notNull(),
  userId: uuid('user_id').notNull().references(() => users.id, { onDelete: 'cascade' }),
  /** Optional claim `login_hint`, for sign-out without the account picker. */
  loginHint: text('login_hint'),
  guest: boolean('guest'),
  createdAt: instant('created_at').notNull().defaultNow(),
  /** The last principal name that Entra ID reported, its key (core/user.ts), and when: commands find people by it. */
  upn: text('upn'),
  upnKey: text('upn_key'),
  upnSeenAt: instant('upn_seen_at'),
}, (table) => [
  primaryKey({ columns: [table.tid, table.oid] }),
  index('identities_user').on(table.userId),
  index('identities_oid').on(table.oid),
  index('identities_guest').on(table.userId).where(sql`${table.guest}`),
  index('identities_upn').on(table.upnKey),
  index('identities_search_upn').on(inByteOrder(table.upnKey), table.userId),
])

export const groups = pgTable('groups', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: text('name').notNull(),
  description: text('description').notNull().default(''),
  createdAt: instant('created_at').notNull().defaultNow(),
}, (table) => [unique('groups_name').on(table.name)])

export const userGroups = pgTable('user_groups', {
  userId: uuid('user_id').notNull().references(() => users.id, { onDelete: 'cascade' }),
  groupId: uuid('group_id').notNull().references(() => groups.id, { onDelete: 'cascade' }),
  /** Null: assigned by hand; gone at the person's next login. */
  cause: jsonb('cause').$type<readonly Cause[]>(),
  since: instant('since').notNull().defaultNow(),
  /** Of one that was assigned by hand: it ends at this instant (store/live-membership.ts). Null: it has no end. */
  until: instant('until'),
}, (table) => [
  primaryKey({ columns: [table.userId, table.groupId] }),
  index('user_groups_group').on(table.groupId),
  index('user_groups_by_hand').on(table.userId).where(sql`${table.cause} is null`),
  // few: what ends is swept
  index('user_groups_until').on(table.until, table.groupId).where(sql`${table.until} is not null`),
])

export const groupPermissions = pgTable('group_permissions', {
  groupId: uuid('group_id').notNull().references(() => groups.id, { onDelete: 'cascade' }),
  permission: text('permission').notNull(),
}, (table) => [primaryKey({ columns: [table.groupId, table.permission] })])

/** What reviewers found of rights (core/reviews.ts). A mark counts as long as the right is as it was. */
export const accessReviews = pgTable('access_reviews', {
  userId: uuid('user_id').notNull().references(() => users.id, { onDelete: 'cascade' }),
  /** `superuser`, `staff`, or the id of the local group. */
  rightId: text('right_id').notNull(),
  /** Hash of the right as it was marked: since when, why, until when (store/rights-held.ts). */
  basis: text('basis').notNull(),
  verdict: text('verdict').$type<Verdict>().notNull(),
  /** No foreign key: the mark outlives its reviewer. */
  reviewerId: uuid('reviewer_id').notNull(),
  note: text('note'),
  at: instant('at').notNull().default(sql`clock_timestamp()`),
}, (table) => [
  primaryKey({ columns: [table.userId, table.rightId] }),
  index('access_reviews_right').on(table.rightId),
  index('access_reviews_verdict').on(table.verdict, table.userId),
])

/** The group memberships that Graph returned last for each user. */
export const entraReadings = pgTable('entra_readings', {
  userId: uuid('user_id').primaryKey().references(() => users.id, { onDelete: 'cascade' }),
  groupIds: uuid('group_ids').array().notNull(),
  readAt: instant('read_at').notNull(),
  /** Staff or superuser: a trigger keeps it. */
  privileged: boolean('privileged').notNull().default(false),
  /** The user had no session when last looked at (store/reevaluation-order.ts); a snapshot resets it by a trigger. */
  withoutSession: boolean('without_session').notNull().default(false),
}, (table) => [
  index('entra_readings_order').on(table.privileged, table.readAt, table.userId)
    .where(sql`not ${table.withoutSession}`),
])

/** What a re-evaluation without an answer leaves to remember (store/sync-store.ts). */
export const entraChecks = pgTable('entra_checks', {
  userId: uuid('user_id').primaryKey().references(() => users.id, { onDelete: 'cascade' }),
  triedAt: instant('tried_at').notNull(),
  /** Since when Graph knows no such account. */
  missingSince: instant('missing_since'),
}, (table) => [index('entra_checks_order').on(table.triedAt, table.userId)])

/** Links of delta queries (core/change-signals.ts): one row for each chain of requests. They contain no credential. */
export const deltaChains = pgTable('delta_chains', {
  id: uuid('id').primaryKey(),
  /** Tenant, registration and Graph that the link belongs to. */
  scope: text('scope').notNull(),
  kind: text('kind').notNull(),
  groupIds: uuid('group_ids').array().notNull(),
  nested: jsonb('nested').$type<Readonly<Record<string, readonly string[]>>>().notNull(),
  former: jsonb('former').$type<Readonly<Record<string, readonly string[]>>>().notNull(),
  added: uuid('added').array().notNull(),
  link: text('link').notNull(),
  following: boolean('following').notNull(),
  announced: boolean('announced').notNull(),
  pages: integer('pages').notNull(),
  readAt: instant('read_at').notNull(),
})

/** Users of whom a delta query reported a change: they are due until they were read after it (store/due-users.ts). */
export const changeSignals = pgTable('change_signals', {
  userId: uuid('user_id').primaryKey(),
  signalledAt: instant('signalled_at').notNull(),
}, (table) => [index('change_signals_order').on(table.signalledAt, table.userId)])

export const sessions = pgTable(
  'sessions',
  {
    /** SHA-256 of the id in the cookie; the id itself is nowhere. */
    idHash: bytea('id_hash').primaryKey(),
    publicId: text('public_id').notNull().unique(),
    userId: uuid('user_id').notNull().references(() => users.id, { onDelete: 'cascade' }),
    /** Entra's own session (claim `sid`), for front-channel logout. */
    entraSid: text('entra_sid'),
    /** When the id token that it began with was issued (claim `iat`); null for sessions of older versions. */
    tokenIssuedAt: instant('token_issued_at'),
    /** When Entra ID last authenticated the user for this session (claim `auth_time`); null: it did not say. */
    authenticatedAt: instant('authenticated_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    lastSeenAt: instant('last_seen_at').notNull().defaultNow(),
    /** Of the last use that was recorded, where session.recordClient is set. */
    browser: text('browser'),
    clientAddress: text('client_address'),
    lastHost: text('last_host'),
  },
  (
    table,
  ) => [
    index('sessions_user').on(table.userId),
    index('sessions_entra_sid').on(table.entraSid),
    index('sessions_created').on(table.createdAt),
    // store/sessions-list.ts; without session.recordClient they are empty
    index('sessions_browser').on(table.browser, table.createdAt, table.publicId).where(
      sql`${table.browser} is not null`,
    ),
    index('sessions_address').on(table.clientAddress, table.createdAt, table.publicId)
      .where(sql`${table.clientAddress} is not null`),
    index('sessions_host').on(table.lastHost, table.createdAt, table.publicId).where(
      sql`${table.lastHost} is not null`,
    ),
  ],
)

/**
 * Sessions of the admin console (store/admin-sessions.ts). No foreign key: one that names no active session is over,
 * and is swept.
 */
export const adminSessions = pgTable('admin_sessions', {
  /** SHA-256 of the id in the cookie. */
  idHash: bytea('id_hash').primaryKey(),
  /** Stays the same when the cookie gets a new id. */
  id: uuid('id').notNull().unique().defaultRandom(),
  /** Public id of the session that it belongs to. */
  sessionId: text('session_id').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  lastSeenAt: instant('last_seen_at').notNull().defaultNow(),
  authenticatedAt: instant('authenticated_at').notNull(),
  /** The authentication context of that authentication, which the step-up asked for; null: none. */
  acrs: text('acrs'),
}, (table) => [index('admin_sessions_session').on(table.sessionId)])

/** Tokens of programs (core/token.ts). Those that have ended stay for a while, to be seen. */
export const tokens = pgTable('tokens', {
  /** Public. */
  id: text('id').primaryKey(),
  /** `admin`: of the admin API. */
  kind: text('kind').notNull(),
  name: text('name').notNull(),
  ownerId: uuid('owner_id').notNull().references(() => users.id, { onDelete: 'cascade' }),
  scopes: text('scopes').array().notNull(),
  /** SHA-256 of the random bytes; the token itself is nowhere. */
  hash: bytea('hash').notNull().unique(),
  /** Of the request that made it: a repeated one makes no other. */
  requestId: uuid('request_id'),
  createdAt: instant('created_at').notNull().defaultNow(),
  createdBy: text('created_by').notNull(),
  expiresAt: instant('expires_at').notNull(),
  lastUsedAt: instant('last_used_at'),
  revokedAt: instant('revoked_at'),
}, (table) => [
  unique('tokens_request').on(table.ownerId, table.requestId),
  index('tokens_created').on(table.createdAt, table.id),
])

/** Forms of the console that wait for a fresh sign-in (store/admin-forms.ts). */
export const adminForms = pgTable('admin_forms', {
  id: uuid('id').primaryKey().defaultRandom(),
  /** `admin_sessions.id`. No foreign key: one that names no session of the console is swept. */
  adminSession: uuid('admin_session').notNull(),
  act: text('act').notNull(),
  path: text('path').notNull(),
  values: jsonb('values').$type<Readonly<Record<string, string>>>().notNull(),
  keptAt: instant('kept_at').notNull().defaultNow(),
}, (table) => [index('admin_forms_session').on(table.adminSession, table.keptAt)])

/** Sign-ins that made a session: their `state` is spent. Rows older than the lifetime of a flow are swept. */
export const spentFlows = pgTable('spent_flows', {
  flowHash: bytea('flow_hash').primaryKey(),
  spentAt: instant('spent_at').notNull().defaultNow(),
}, (table) => [index('spent_flows_at').on(table.spentAt)])

/** Return addresses that are too long for the state of a flow (store/long-returns.ts). */
export const longReturns = pgTable('long_returns', {
  flowHash: bytea('flow_hash').primaryKey(),
  address: text('address').notNull(),
  keptAt: instant('kept_at').notNull().defaultNow(),
}, (table) => [index('long_returns_kept').on(table.keptAt)])

/** One row for each process of Gatehouse, which updates it with every heartbeat. */
export const replicas = pgTable('replicas', {
  replica: text('replica').primaryKey(),
  /** How many it has written: where history was lost, the number is lower than the process remembers. */
  heartbeats: bigint('heartbeats', { mode: 'number' }).notNull(),
  heartbeatAt: instant('heartbeat_at').notNull().default(sql`clock_timestamp()`),
  /** Host and port, for people. */
  name: text('name').notNull().default(''),
  /** Hash of the configuration in force (core/replicas.ts). */
  config: text('config').notNull().default(''),
  /** Whether notifications reach it: then it may be the notifier. */
  listens: boolean('listens').notNull().default(false),
  /** Number of the policy version in force; null: not recorded yet. */
  policy: integer('policy'),
  /** Until when Graph asked the sign-ins of this replica to wait; null: it does not. */
  throttledUntil: instant('throttled_until'),
}) // no index on what changes each second: then an update writes no index either

/**
 * The outbox: what changed, written by triggers in the transaction that changes it (migrations/0007_outbox.sql) and
 * read by every replica (store/change-feed/outbox.ts). The notifier deletes what all have read.
 */
export const changes = pgTable('changes', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  /** The transaction, for which snapshots say whether it is visible. */
  xid: xid8('xid').notNull().default(sql`pg_current_xact_id()`),
  /** A kind of core/changes.ts. */
  kind: text('kind').notNull(),
  subjects: text('subjects').array().notNull(),
}, (table) => [index('changes_xid').on(table.xid)])

/** One row: up to which snapshot the outbox was swept. A reader that has read less has missed changes. */
export const outbox = pgTable('outbox', {
  swept: snapshot('swept').notNull().default(sql`pg_current_snapshot()`),
  /** The highest number of a version of the policy that the database has lost: none is given twice. */
  versionFloor: integer('version_floor').notNull().default(0),
  /** Rows of the audit from before, which 0.2.0 wrote, do not say who lost a flag. Null: it wrote none. */
  flagsRecordedSince: instant('flags_recorded_since'),
})

/** Append-only; no foreign key, so that it outlives what it speaks of. */
export const auditEvents = pgTable('audit_events', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  at: instant('at').notNull().defaultNow(),
  action: text('action').notNull(),
  /** `login`, `cli:<os user>`, `system`. */
  actor: text('actor').notNull(),
  userId: uuid('user_id'),
  username: text('username'),
  correlationId: text('correlation_id'),
  detail: jsonb('detail').$type<Readonly<Record<string, unknown>>>().notNull().default({}),
  /** Random, hashed with username and detail (audit-rows.ts); deleted with the names. Null: deleted, or not made. */
  nameSalt: uuid('name_salt').defaultRandom(),
  /** Set by a trigger when the names are removed: the hash under which they were sealed. */
  nameCommitment: bytea('name_commitment'),
}, (table) => [
  // with the id: rows of one transaction have the same time, up to a million
  index('audit_events_time').on(table.at, table.id),
  index('audit_events_person').on(table.userId, table.at, table.id),
  index('audit_events_action').on(table.action, table.at, table.id),
  index('audit_events_actor').on(table.actor, table.action, table.at, table.id),
  index('audit_events_correlation').on(table.correlationId, table.at, table.id)
    .where(sql`${table.correlationId} is not null`),
  // refused sign-ins without a user, for the removal of the user's account (store/user-admin.ts)
  index('audit_events_refused_oid').on(sql`(${table.detail} ->> 'oid')`)
    .where(sql`${table.userId} is null and ${table.detail} ->> 'oid' is not null`),
  // who was superuser before a change: a few rows (store/overview-reads.ts)
  index('audit_events_superuser').on(table.at, table.id)
    .where(sql`${table.detail} #>> '{before,superuser}' = 'true'`),
])

/** Seals of the audit (core/audit-seals.ts), each over the hash of the one before. Never changed, never deleted. */
export const auditSeals = pgTable('audit_seals', {
  number: bigint('number', { mode: 'number' }).primaryKey(),
  at: instant('at').notNull(),
  /** `1-100,103`. */
  ids: text('ids').notNull(),
  rows: integer('rows').notNull(),
  firstAt: instant('first_at').notNull(),
  lastAt: instant('last_at').notNull(),
  /** Rows from before it may be gone: `audit.retention`. */
  keptSince: instant('kept_since').notNull(),
  rowsHash: bytea('rows_hash').notNull(),
  /** False: the seal before was made with a secret that is not in `keys.encryptionSecrets`. */
  isPreviousKnown: boolean('is_previous_known').notNull(),
  previousHash: bytea('previous_hash').notNull(),
  hash: bytea('hash').notNull(),
  /** HMAC of the hash under a key derived from the first of `keys.encryptionSecrets`. */
  mac: bytea('mac').notNull(),
})

/** How far the audit is exported (core/audit-export.ts): one row. */
export const auditExports = pgTable('audit_exports', {
  /** The key of the configuration: `audit.export`. */
  name: text('name').primaryKey(),
  /** Ids of rows that a receiver has accepted, and ids of which no row can come any more. */
  delivered: int8multirange('delivered').notNull().default('{}'),
  /** Ids up to this one are to be settled... */
  settlingUntil: bigint('settling_until', { mode: 'number' }),
  /** ...once these transactions, which may have taken some of them, have ended. */
  settlingFor: text('settling_for').array(),
  events: bigint('events', { mode: 'number' }).notNull().default(0),
  rejected: bigint('rejected', { mode: 'number' }).notNull().default(0),
  deliveredUntil: instant('delivered_until'),
  acceptedAt: instant('accepted_at'),
  failures: integer('failures').notNull().default(0),
  failingSince: instant('failing_since'),
  cause: text('cause'),
  detail: text('detail'),
  retryAt: instant('retry_at'),
  /** With which section of the configuration the last delivery failed: exportHash of config/config-hash.ts. */
  section: text('section'),
  /** The first event of the batch that failed last, and how many it had. */
  firstId: bigint('first_id', { mode: 'number' }),
  firstAt: instant('first_at'),
  batchEvents: integer('batch_events'),
})

/**
 * What was counted (core/activity.ts): a partition for each day (store/activity-days.ts). A row has an hour of one
 * process, so that a month of it is small; a row of a gauge has no minutes.
 */
export const activityCounts = pgTable('activity_counts', {
  hour: instant('hour').notNull(),
  kind: text('kind').notNull(),
  key: text('key').notNull(),
  /** A UUID of the process. */
  replica: uuid('replica').notNull(),
  count: bigint('count', { mode: 'number' }).notNull(),
  minutes: integer('minutes').array().notNull(),
}, (table) => [primaryKey({ columns: [table.kind, table.hour, table.key, table.replica] })])

/**
 * A sample of the requests of the last day (core/request-sample.ts). A row has an hour of one process; equal requests
 * have the same key.
 */
export const sampledRequests = pgTable('sampled_requests', {
  key: text('key').notNull(),
  hour: instant('hour').notNull(),
  /** A UUID of the process. */
  replica: uuid('replica').notNull(),
  /** Null: without a session. What is kept of a user goes with the user. */
  userId: uuid('user_id').references(() => users.id, { onDelete: 'cascade' }),
  host: text('host').notNull(),
  method: text('method').notNull(),
  path: text('path').notNull(),
  isCut: boolean('is_cut').notNull(),
  rule: text('rule').notNull(),
  count: integer('count').notNull(),
}, (table) => [
  primaryKey({ columns: [table.key, table.hour, table.replica] }),
  index('sampled_requests_hour').on(table.hour),
  index('sampled_requests_user').on(table.userId),
])

/** Versions of the policy (core/policy-version.ts). Never changed, never deleted: a trigger refuses both. */
export const policyVersions = pgTable('policy_versions', {
  number: integer('number').primaryKey(),
  source: text('source').$type<VersionSource>().notNull(),
  text: text('text').notNull(),
  hash: text('hash').notNull(),
  schema: integer('schema').notNull(),
  release: text('release').notNull(),
  author: text('author').notNull(),
  message: text('message').notNull().default(''),
  at: instant('at').notNull().default(sql`clock_timestamp()`),
  parent: integer('parent'),
  findings: jsonb('findings').$type<readonly VersionFinding[]>().notNull().default([]),
  gains: integer('gains'),
  losses: integer('losses'),
}, (table) => [
  // replicas that load the same file add one version
  uniqueIndex('policy_versions_file').on(table.hash).where(sql`${table.source} = 'file'`),
  index('policy_versions_source').on(table.source, table.number),
])

/** Drafts of the policy (core/policy-draft.ts), a bounded number. No index beside the key: all of them are few. */
export const policyDrafts = pgTable('policy_drafts', {
  /** Public. */
  id: text('id').primaryKey(),
  text: text('text').notNull(),
  /** `policy_versions.number`. No foreign key: a database that lost history may lack the version. */
  base: integer('base').notNull(),
  message: text('message').notNull().default(''),
  author: text('author').notNull(),
  changedBy: text('changed_by').notNull(),
  createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
  changedAt: instant('changed_at').notNull().default(sql`clock_timestamp()`),
  revision: integer('revision').notNull().default(1),
  /** As in the audit record: everybody who has ever saved it, and who has made the token of a program that did. */
  editors: text('editors').array().notNull().default(sql`'{}'`),
})

/** Images of policies of the database (core/policy-image.ts), a bounded number. A row never changes. */
export const policyImages = pgTable('policy_images', {
  name: text('name').primaryKey(),
  type: text('type').$type<Image['type']>().notNull(),
  /** 64 hex characters. */
  sha256: text('sha256').notNull(),
  content: bytea('content').notNull(),
  author: text('author').notNull(),
  at: instant('at').notNull().default(sql`clock_timestamp()`),
})

/** Approvals of a deploy of a draft, or of a rollback to a version (core/policy-approval.ts); gone with each deploy. */
export const policyApprovals = pgTable('policy_approvals', {
  id: uuid('id').primaryKey().defaultRandom(),
  /** One of both. */
  draft: text('draft').references(() => policyDrafts.id, { onDelete: 'cascade' }),
  version: integer('version'),
  approver: uuid('approver').notNull().references(() => users.id, { onDelete: 'cascade' }),
  /** Of the text, and of the version in force that it is compared with, by its number too. */
  textHash: text('text_hash').notNull(),
  policyHash: text('policy_hash').notNull(),
  onto: integer('onto').notNull(),
  /** Null: of a rollback. */
  preview: text('preview'),
  at: instant('at').notNull().default(sql`clock_timestamp()`),
}, (table) => [
  unique('policy_approvals_draft').on(table.draft, table.approver),
  unique('policy_approvals_version').on(table.version, table.approver),
  check('policy_approvals_target', sql`num_nonnulls(${table.draft}, ${table.version}) = 1`),
])

/** The previews of a draft that were made last (core/policy-preview.ts), also while they are under way. */
export const policyPreviews = pgTable('policy_previews', {
  draft: text('draft').notNull().references(() => policyDrafts.id, { onDelete: 'cascade' }),
  /** Whether Graph is asked; otherwise the stored snapshots count. */
  live: boolean('live').notNull().default(false),
  /** Of this one run: a run that another one has replaced writes nothing. */
  run: uuid('run').notNull(),
  /** Hashes of the draft and of the policy in force, for which it holds. */
  draftHash: text('draft_hash').notNull(),
  policyHash: text('policy_hash').notNull(),
  state: text('state').$type<PreviewState>().notNull(),
  /** Users read, and about how many there are. */
  done: integer('done').notNull().default(0),
  total: integer('total').notNull().default(0),
  startedAt: instant('started_at').notNull().default(sql`clock_timestamp()`),
  /** When the process that makes it has written last. */
  writtenAt: instant('written_at').notNull().default(sql`clock_timestamp()`),
  /** Error code of a run that has failed. */
  code: text('code'),
  /** Until when Graph asked that run to wait. */
  until: instant('until'),
  result: jsonb('result').$type<PreviewResult>(),
}, (table) => [primaryKey({ columns: [table.draft, table.live] })])

/** One row: who runs the one live preview of the installation (core/live-preview.ts), or until when none begins. */
export const livePreview = pgTable('live_preview', {
  singleton: boolean('singleton').primaryKey().default(true),
  /** Null: none runs. */
  run: uuid('run'),
  /** As in the audit record. */
  actor: text('actor').notNull(),
  /** Name of the replica, or host of the command. */
  place: text('place').notNull(),
  startedAt: instant('started_at').notNull().default(sql`clock_timestamp()`),
  /** When that process renewed it last. */
  renewedAt: instant('renewed_at').notNull().default(sql`clock_timestamp()`),
  /** Until when Graph asked to wait. */
  until: instant('until'),
}, (table) => [check('live_preview_singleton', sql`${table.singleton}`)])

/** A policy that the replicas are asked to load before it is deployed; each writes its answer. */
export const policyTrials = pgTable('policy_trials', {
  id: text('id').primaryKey(),
  text: text('text').notNull(),
  at: instant('at').notNull().default(sql`clock_timestamp()`),
})

export const policyTrialAnswers = pgTable('policy_trial_answers', {
  trial: text('trial').notNull().references(() => policyTrials.id, { onDelete: 'cascade' }),
  /** As in `replicas`. */
  replica: text('replica').notNull(),
  /** Null: it can run the policy. */
  refusal: text('refusal'),
}, (table) => [primaryKey({ columns: [table.trial, table.replica] })])

/** Versions of the policy that were to be applied immediately (core/policy-application.ts), and how far that is. */
export const policyApplications = pgTable('policy_applications', {
  /** `policy_versions.number`. No foreign key: a database that lost history may lack the version. */
  version: integer('version').primaryKey(),
  /** As in the audit record. */
  actor: text('actor').notNull(),
  correlationId: text('correlation_id'),
  state: text('state').$type<ApplicationState>().notNull().default('running'),
  pass: text('pass').$type<ApplicationPass>().notNull().default('losses'),
  /** Id of the last user of this pass who was looked at. */
  after: uuid('after').notNull().default('00000000-0000-0000-0000-000000000000'),
  /** Users of this pass who were looked at, and about how many there are. */
  done: integer('done').notNull().default(0),
  total: integer('total').notNull().default(0),
  gains: integer('gains').notNull().default(0),
  losses: integer('losses').notNull().default(0),
  tooOld: integer('too_old').notNull().default(0),
  failed: integer('failed').notNull().default(0),
  /** Of the process that does it; null: none yet, or not any more. */
  runner: text('runner'),
  startedAt: instant('started_at').notNull().default(sql`clock_timestamp()`),
  /** When that process has written last. */
  writtenAt: instant('written_at').notNull().default(sql`clock_timestamp()`),
})

/** Private keys of the assertions, sealed under keys.encryptionSecrets (store/keys.ts). */
export const signingKeys = pgTable('signing_keys', {
  kid: text('kid').primaryKey(),
  publicJwk: jsonb('public_jwk').$type<Readonly<Record<string, unknown>>>().notNull(),
  sealedPrivateKey: bytea('sealed_private_key').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  /** It signs from here on; published before, so that applications know it by then. */
  activeAt: instant('active_at').notNull().defaultNow(),
  /** When its successor took over; it stays published for a while. */
  retiredAt: instant('retired_at'),
})
