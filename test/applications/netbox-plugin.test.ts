// The NetBox plugin's own tests, with Django alone: test/applications/netbox-real.test.ts runs it in the real NetBox.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { pythonWith } from '../helpers/python.js'

const HOME = resolve('integrations/netbox')

// proves: adv-netbox-audience, adv-netbox-session-alone, adv-netbox-groups-follow, adv-netbox-superuser-follows
// proves: adv-netbox-fetches-limited, adv-netbox-keys-end, adv-netbox-forms-kept, adv-netbox-forms-of-others
// proves: adv-netbox-expired, adv-netbox-signature, adv-netbox-alg-none, adv-netbox-own-sign-in, adv-netbox-token-alone
t.test('the NetBox plugin passes its own tests', async (t) => {
  const python = pythonWith(t, 'django', 'jwt', 'cryptography')
  if (python === undefined) return
  const env = {
    ...process.env,
    PYTHONDONTWRITEBYTECODE: '1',
    DJANGO_SETTINGS_MODULE: 'tests.settings',
    PYTHONPATH: `${HOME}:${HOME}/tests/stubs`,
  }
  const tests = spawn(python, ['-m', 'django', 'test'], { cwd: HOME, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const [output, [code]] = await Promise.all([text(tests.stderr), once(tests, 'exit')])
  t.equal(code, 0, output)
  t.ok(Number(/^Ran (\d+) tests/m.exec(output)?.[1]) >= 15, output)
})
