// The address of the database, by libpq's grammar: one host or several, ports, sockets, parameters and variables.
import t from 'tap'
import {
  isAddressFault,
  readDatabaseAddress,
  readDatabaseServers,
  type DatabaseServers,
} from '../../src/core/database-address.js'

/** host:port of each server; or what is wrong. */
function serversOf(text: string, env: Readonly<Record<string, string>> = {}): readonly string[] | string {
  const read = readDatabaseServers(text, env)
  if (isAddressFault(read)) return read.problem
  return read.urls.map((url) => {
    const address = readDatabaseAddress(url, env)
    return isAddressFault(address) ? address.problem : `${address.host} ${address.port}`
  })
}

t.test('a list of hosts', async (t) => {
  const lists: Readonly<Record<string, readonly string[]>> = {
    'postgres://u@a/db': ['a 5432'],
    'postgres://u@a,b/db': ['a 5432', 'b 5432'],
    'postgresql://u:p@10.0.0.1:5433,10.0.0.2:5434/db?target_session_attrs=read-write': [
      '10.0.0.1 5433',
      '10.0.0.2 5434',
    ],
    'postgres://a:1,b,c:3/db': ['a 1', 'b 5432', 'c 3'],
    'postgres://u@[::1]:5433,[fe80::1]/db': ['::1 5433', 'fe80::1 5432'],
    'postgres://u@%2Frun%2Fpg,b:5433/db': ['/run/pg 5432', 'b 5433'],
    'postgres://u@/db?host=/run/pg,b&port=5432,5433': ['/run/pg 5432', 'b 5433'],
    'postgres://u@/db?host=a,b&port=6000': ['a 6000', 'b 6000'],
    'postgres://u@a,b/db?port=6000': ['a 6000', 'b 6000'],
    'postgres://u:p%40%2C@a,b/db': ['a 5432', 'b 5432'],
  }
  for (const [text, servers] of Object.entries(lists)) t.strictSame(serversOf(text), servers, text)
})

t.test('the variables of libpq are the defaults', async (t) => {
  const env = { PGHOST: 'a,b', PGPORT: '1,2' }
  t.strictSame(serversOf('postgres:///db', env), ['a 1', 'b 2'])
  t.strictSame(serversOf('postgres://c/db', { PGPORT: '7' }), ['c 7'])
  t.strictSame(serversOf('postgres://c:8/db', env), ['c 8'])
  t.match(serversOf('postgres://a,b/db', { PGTARGETSESSIONATTRS: 'standby' }), /target_session_attrs/)
})

t.test('each server has the user, the database, the password and the TLS of the list', async (t) => {
  const { urls } = readDatabaseServers(
    'postgres://u:p%40@a:1,b:2/my%20db?sslmode=verify-full&target_session_attrs=primary',
  ) as DatabaseServers
  for (const url of urls) {
    t.match(readDatabaseAddress(url), {
      user: 'u',
      database: 'my db',
      hasPassword: true,
      tls: { mode: 'verify-full' },
    })
    t.notMatch(url, 'target_session_attrs')
  }
})

t.test('target_session_attrs is one that means a server that accepts writes', async (t) => {
  for (const value of ['read-write', 'primary', 'any']) {
    t.strictSame(serversOf(`postgres://a,b/db?target_session_attrs=${value}`), ['a 5432', 'b 5432'], value)
  }
  for (const value of ['read-only', 'standby', 'prefer-standby', 'Primary', '']) {
    t.match(serversOf(`postgres://a,b/db?target_session_attrs=${value}`), /^has a target_session_attrs/, value)
  }
})

t.test('a wrong list is refused, and no part of the address is repeated', async (t) => {
  const faults: Readonly<Record<string, RegExp>> = {
    'postgres://u:s3cret@a:5432,a/db': /^has the same server as the first and the second host$/,
    'postgres://u:s3cret@a,b,A:5432/db': /^has the same server as the first and the third host$/,
    'postgres://u:s3cret@a:0,b/db': /^has no valid port for the first host$/,
    'postgres://u:s3cret@a,b:65536/db': /^has no valid port for the second host$/,
    'postgres://u:s3cret@a,b:x/db': /^is no address that can be read$/,
    'postgres://u:s3cret@a,b,c/db?port=1,2': /^has 3 hosts and 2 ports$/,
    'postgres://u:s3cret@a,b%zz/db': /^(is no address|has a character)/,
    'postgres://u:s3cret,x@y/z@a,b/db': /^(is no address|has a character)/,
  }
  for (const [text, problem] of Object.entries(faults)) {
    t.match(serversOf(text), problem, text)
    const read = readDatabaseServers(text)
    t.notMatch(JSON.stringify(read), /s3cret/, `${text}: the password is not repeated`)
  }
})
