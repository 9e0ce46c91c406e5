// Images for policies of the database: uploaded at the API, by the form and by the command, and never changed.
import { join } from 'node:path'
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { FormData, request } from 'undici'
import { stringify } from 'yaml'
import { MOST_IMAGE_BYTES } from '../../../src/core/image.js'
import { MOST_IMAGES } from '../../../src/core/policy-image.js'
import { runInProcess } from '../../helpers/command.js'
import { commandConfig } from '../../helpers/gateway.js'
import { connect } from '../../helpers/sql.js'
import { formsOf, hiddenOf } from './forms.js'
import { startAdminScene, type AdminScene, type ApiClient } from './helper.js'

const PNG = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1')
const SVG = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')

function put({ clients: { sue } }: AdminScene, client: ApiClient = sue) {
  return async (name: string, content: Buffer) =>
    await client.ask(`/images/${name}`, {
      method: 'PUT',
      headers: { 'sec-fetch-site': 'same-origin', 'x-csrf-token': client.csrfToken },
      body: { content: content.toString('base64') },
    })
}

// proves: policy-image-immutable, policy-image-type
t.test('an image is uploaded once, and never changes', async (t) => {
  const scene = await startAdminScene(t)
  const upload = put(scene)
  const first = await upload('contoso.png', PNG)
  t.match(first, { status: 200, json: { name: 'contoso.png', type: 'image/png', size: PNG.length, changed: true } })
  t.match(await upload('contoso.png', PNG), { status: 200, json: { changed: false } })
  const other = Buffer.concat([PNG, PNG])
  t.match(await upload('contoso.png', other), { status: 409, json: { code: 'policy_image_exists' } })
  const { ask } = scene.clients.sam
  const read = await ask('/images/contoso.png')
  t.match(read, { status: 200, json: { content: PNG.toString('base64'), authorName: /sue/, type: 'image/png' } })
  t.match(await ask('/images'), {
    json: { items: [{ name: 'contoso.png', sha256: read.json?.['sha256'] }], next: null },
  })
  t.match(await ask('/images/none.png'), { status: 404, json: { code: 'policy_image_unknown' } })
  for (
    const content of [SVG, Buffer.from('text'), Buffer.alloc(0), Buffer.concat([PNG, Buffer.alloc(MOST_IMAGE_BYTES)])]
  ) {
    t.match(await upload('other.png', content), { status: 400, json: { code: 'policy_image_unusable' } })
  }
  const query = await connect(t, scene.gateway.databaseUrl)
  t.match(await query("select actor, detail from audit_events where action = 'policy.image.add'"), [
    { actor: /^admin:/, detail: { after: { name: 'contoso.png', type: 'image/png', size: PNG.length } } },
  ])
})

// proves: policy-images-bounded
t.test('there is a bounded number of images', async (t) => {
  const scene = await startAdminScene(t)
  const query = await connect(t, scene.gateway.databaseUrl)
  await query(`insert into policy_images (name, type, sha256, content, author)
    select 'image-' || n, 'image/png', repeat('0', 64), 'x', 'test' from generate_series(1, ${MOST_IMAGES}) n`)
  t.match(await put(scene)('one-more.png', PNG), { status: 409, json: { code: 'policy_images_full' } })
  const { json } = await scene.clients.sam.ask('/images?limit=60')
  const next = await scene.clients.sam.ask(`/images?limit=60&after=${String(json?.['next'])}`)
  t.match(next.json, { items: Array(MOST_IMAGES - 60).fill({ name: /^image-/ }), next: null })
})

// proves: admin-image-permission, admin-image-isolated
t.test('the form uploads a file, and the page shows it', async (t) => {
  const { gateway, clients: { sue, sam, nobody } } = await startAdminScene(t)
  const { page } = formsOf(gateway)
  const send = async (name: string, content: Buffer, hidden = {}) => {
    const form = new FormData()
    for (const [key, value] of Object.entries({ ...hidden, name })) form.append(key, String(value))
    form.append('content', new Blob([content]), 'logo.png')
    const { statusCode, headers, body } = await request(`${gateway.url}/admin/images/add`, {
      method: 'POST',
      headers: { cookie: sue.browser.cookieHeader(gateway.url), accept: 'text/html', 'sec-fetch-site': 'same-origin' },
      body: form,
    })
    return { status: statusCode, location: headers['location'], text: await body.text() }
  }
  const hidden = hiddenOf((await page(sue, '/admin/images/add')).text)
  t.match(await send('logo.png', PNG), { status: 403 }, 'without the form token')
  t.match(await send('logo.png', PNG, hidden), { status: 303, location: '/admin/images?done=images-add' })
  t.match(await send('Logo.png', PNG, hidden), { status: 400 }, 'a name in upper case')
  t.match(await send('logo.png', Buffer.concat([PNG, PNG]), hidden), { status: 409, text: /Another image/ })
  t.match(await send('large.png', Buffer.alloc(1_000_000), hidden), { status: 400, text: /of at most 256 kB/ })
  t.match((await page(sue, '/admin/images')).text, 'src="/admin/images/logo.png/file"')
  const file = await page(sam, '/admin/images/logo.png/file')
  t.match(Object.fromEntries(file.headers), {
    'content-type': 'image/png',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
  })
  t.equal((await page(nobody, '/admin/images/logo.png/file')).status, 404)
  const broken = await request(`${gateway.url}/admin/images/add`, {
    method: 'POST',
    headers: {
      'cookie': sue.browser.cookieHeader(gateway.url),
      'sec-fetch-site': 'same-origin',
      'content-type': 'multipart/form-data; boundary=x',
    },
    body: '--x\r\nno form',
  })
  t.equal(broken.statusCode, 400)
  await broken.body.dump()
})

// proves: policy-image-name
t.test('the commands add, list and write images', async (t) => {
  const { gateway } = await startAdminScene(t)
  const directory = t.testdir({ 'gatehouse.yaml': stringify(commandConfig(gateway)) })
  writeFileSync(join(directory, 'logo.png'), PNG)
  const policy = (...args: string[]) => runInProcess(['policy', ...args, '--config', join(directory, 'gatehouse.yaml')])
  const add = await policy('add-image', join(directory, 'logo.png'))
  t.match(add, { status: 0, stdout: 'The image logo.png is uploaded.' })
  t.match(await policy('add-image', join(directory, 'logo.png')), { stdout: /uploaded already/ })
  t.match(await policy('add-image', join(directory, 'logo.png'), '--name', '../Logo'), {
    status: 1,
    stderr: /lower-case/,
  })
  t.match(await policy('images'), { stdout: /logo\.png +image\/png +17/ })
  const copy = join(directory, 'copy.png')
  t.match(await policy('export-image', 'logo.png', copy), { status: 0 })
  t.same(readFileSync(copy), PNG)
  t.match(await policy('export-image', 'none.png', copy), { status: 1, stderr: /no image none\.png/ })
})
