// Many users, sessions and audit rows at once, by SQL: each user has an identity, a session, a group and a snapshot.
import type { Query } from './sql.js'

/** User 123 is `U0000123@corp.test`, Given7 Family46, Mail123@example.test. Every hundredth is staff. */
export async function seedCrowd(query: Query, count: number): Promise<void> {
  const statements = [
    "insert into groups (name) select 'Group ' || n from generate_series(0, 9) n",
    `insert into users (username, username_key, email, name, given_name, family_name, is_staff, is_superuser,
        last_login_at)
      select 'U' || lpad(n::text, 7, '0') || '@corp.test', 'u' || lpad(n::text, 7, '0') || '@corp.test',
        'Mail' || n || '@example.test', 'Given' || n % 29 || ' Family' || n % 77, 'Given' || n % 29, 'Family' || n % 77,
        n % 100 = 0, n % 1000 = 0, now() from generate_series(1, ${count}) n`,
    `insert into identities (tid, oid, user_id, upn, upn_key, upn_seen_at)
      select '11111111-1111-4111-8111-111111111111', gen_random_uuid(), id, 'upn-' || username, 'upn-' || username_key,
        now() from users`,
    `insert into user_groups (user_id, group_id)
      select u.id, g.id from users u join groups g on g.name = 'Group ' || length(u.email) % 10`,
    'insert into entra_readings (user_id, group_ids, read_at) select id, array[gen_random_uuid()], now() from users',
    `insert into sessions (id_hash, public_id, user_id, created_at)
      select sha256(username::bytea), 'ses_' || username, id,
        now() - interval '7 hours' * (substr(username, 2, 7)::float8 / ${count}) from users`,
    `insert into audit_events (at, action, actor, user_id, username)
      select now() - interval '300 days' * (substr(username, 2, 7)::float8 / ${count}),
        (array['login', 'logout', 'session.revoke', 'user.add', 'user.remove'])[1 + substr(username, 2, 7)::int % 5],
        'login', id, username from users`,
    'vacuum (analyze)',
  ]
  for (const statement of statements) await query(statement)
}
