// What strangers can make the process remember is bounded: hosts of which there is no end.
import t from 'tap'
import { parseTarget, type KnownHosts } from '../../../src/core/target.js'

// proves: adv-hosts-bounded
t.test('hosts that were parsed', async (t) => {
  const hosts: KnownHosts = new Map()
  let most = 0
  for (let index = 0; index < 5_000; index++) {
    parseTarget({ scheme: 'https', host: `host-${index}.test`, uri: '/', method: 'GET' }, hosts)
    most = Math.max(most, hosts.size)
  }
  t.ok(most <= 1_000, `${most} hosts`)
  hosts.clear()
  parseTarget({ scheme: 'https', host: `${'a.'.repeat(200)}test`, uri: '/', method: 'GET' }, hosts)
  t.equal(hosts.size, 0, 'a long one is not kept')
})
