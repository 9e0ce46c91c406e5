// Name, logo, colour and applications of an organisation on the pages: what each page says, where it leads, and that no
// picture of theirs can run a script.
import t from 'tap'
import { contrast, CARD, CARD_DARK, paletteOf } from '../../../src/http/pages/palette.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import type { Answer } from '../../helpers/browser.js'
import { startTestGateway } from '../../helpers/gateway.js'

const SVG =
  '<?xml version="1.0"?>\n<!-- a logo -->\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>\n'
const FILES = { 'logo.svg': SVG, 'icon.svg': '<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>' }
const PEOPLE = [PERSON_IDS.staff, PERSON_IDS.superuser, PERSON_IDS.many] as const

const applicationsOn = ({ text }: Answer): string[] => {
  const [, list = ''] = /<ul class="apps"[^>]*>([\s\S]*?)<\/ul>/.exec(text) ?? []
  return [...list.matchAll(/<a href="([^"]+)">/g)].map(([, url = '']) => url)
}

t.test('branding', async (t) => {
  const gateway = await startTestGateway(t, {
    files: FILES,
    config: {
      server: { contact: 'it-help@contoso.example', redirectDomains: ['127.0.0.1:*', '.corp.test'] },
      branding: { name: 'Contoso <IT>', logoFile: 'logo.svg', color: '#ffcc00' },
      applications: [
        { host: 'wiki.corp.test', name: 'Wiki', icon: 'icon.svg' },
        { host: 'staff.corp.test', name: 'Staff area' },
        { host: 'admin.corp.test:8443', name: 'Console' },
        { host: 'circuits.corp.test', name: 'Circuits' },
      ],
      access: {
        default: 'deny',
        rules: [
          { hosts: ['wiki.corp.test'], paths: ['/secret/**'], allow: { superuser: true } },
          { hosts: ['wiki.corp.test'], allow: 'authenticated' },
          { hosts: ['staff.corp.test'], methods: ['GET', 'HEAD'], allow: { staff: true } },
          { hosts: ['admin.corp.test:8443'], allow: { superuser: true } },
          { hosts: ['circuits.corp.test'], networks: ['loopback'], allow: { groups: ['Circuit Manager'] } },
        ],
      },
    },
  })
  const { url } = gateway
  const page = await gateway.ask('/oauth2/sign_in')

  await t.test('every page bears the name, the logo and the colour', async (t) => {
    for (const path of ['/oauth2/sign_in', '/no-such-page', '/oauth2/callback?admin_consent=True&tenant=x']) {
      const { text } = await gateway.ask(path)
      t.match(text, / · Contoso &#60;IT&#62;<\/title>/, path)
      t.match(
        text,
        new RegExp(`<header><img src="${url}/oauth2/assets/[0-9a-f]{16}\\.svg" alt="">Contoso &#60;IT`),
        path,
      )
    }
    const [, sheet = ''] = /<link rel="stylesheet" href="([^"]+)"/.exec(page.text) ?? []
    const { text, headers } = await gateway.ask(sheet.slice(url.length))
    t.match(text, /--button: #ffcc00; --button-ink: #000000/)
    t.match(headers.get('cache-control'), /immutable/)
    t.match(page.headers.get('content-security-policy'), `style-src ${url}; img-src data: ${url};`)
  })

  // proves: adv-picture-isolated
  await t.test('a picture is served as what it is, and runs no script when it is opened on its own', async (t) => {
    const [, logo = ''] = /<header><img src="([^"]+)"/.exec(page.text) ?? []
    const { status, headers, text } = await gateway.ask(logo.slice(url.length))
    t.strictSame({ status, text }, { status: 200, text: SVG })
    t.equal(headers.get('content-type'), 'image/svg+xml')
    t.equal(headers.get('content-security-policy'), "default-src 'none'; style-src 'unsafe-inline'; sandbox")
    t.equal(headers.get('x-content-type-options'), 'nosniff')
  })

  await t.test('an outdated stylesheet URL returns the current stylesheet; other files return 404', async (t) => {
    const other = await gateway.ask('/oauth2/assets/0123456789abcdef.css')
    t.strictSame(
      { status: other.status, 'cache-control': other.headers.get('cache-control') },
      { status: 200, 'cache-control': 'no-store' },
    )
    for (const name of ['0123456789abcdef.svg', 'x', '..%2fetc%2fpasswd']) {
      t.equal((await gateway.ask(`/oauth2/assets/${name}`)).status, 404, name)
    }
  })

  // proves: adv-page-applications
  await t.test('the home page lists what the rules let this person open', async (t) => {
    const expected = [
      ['https://wiki.corp.test/', 'https://staff.corp.test/'],
      [
        'https://wiki.corp.test/',
        'https://staff.corp.test/',
        'https://admin.corp.test:8443/',
        'https://circuits.corp.test/',
      ],
      ['https://wiki.corp.test/', 'https://circuits.corp.test/'],
    ].map((urls) => urls.map((each) => each.replace('https:', 'http:'))) // as publicUrl
    for (const [index, person] of PEOPLE.entries()) {
      const { answer } = await gateway.signIn(person)
      t.strictSame(applicationsOn(answer), expected[index])
      t.match(answer.text, /<img src="[^"]+\.svg" alt=""><span>Wiki<span class="soft">wiki\.corp\.test/)
    }
  })

  // proves: adv-page-destination
  await t.test('the sign-in page names its destination', async (t) => {
    const saying = async (rd: string) =>
      /data-field="destination">([^<]+)</.exec((await gateway.ask(`/oauth2/sign_in?rd=${rd}`)).text)?.[1]
    t.equal(await saying('http://wiki.corp.test/x'), 'Wiki (wiki.corp.test)')
    t.equal(await saying('http://other.corp.test/x'), 'other.corp.test')
    t.equal(await saying('/'), undefined)
  })

  // proves: adv-page-way-back
  await t.test('who is refused reads the rule in words and has a way back', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.nobody)
    const asked = (host: string, uri: string) =>
      gateway.ask('/oauth2/forward-auth', {
        browser,
        headers: {
          'x-forwarded-proto': 'http',
          'x-forwarded-host': host,
          'x-forwarded-uri': uri,
          'x-forwarded-method': 'GET',
        },
      })
    const wiki = await asked('wiki.corp.test', '/secret/plan')
    t.equal(wiki.status, 403)
    t.match(wiki.text, /data-field="allows">superusers</)
    t.match(wiki.text, /data-field="about">wiki\.corp\.test, \/secret\/\*\*</)
    t.match(wiki.text, '<a class="button" href="http://wiki.corp.test/">Go to wiki.corp.test</a>')
    const staff = await asked('staff.corp.test', '/x')
    t.match(staff.text, /data-field="about">GET or HEAD of staff\.corp\.test</)
    t.notMatch(staff.text, 'href="http://staff.corp.test/"', 'its front page is not open to them either')
    t.match(staff.text, `<a class="button" href="${url}/">See what is open to you</a>`)
    const circuits = await asked('circuits.corp.test', '/')
    t.match(circuits.text, 'from certain networks')
  })

  await t.test('a reload changes them at once', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    gateway.reload({
      branding: { name: 'Fabrikam', logoFile: undefined },
      applications: [{ host: 'admin.corp.test:8443', name: 'Console' }],
    })
    const { text } = await gateway.ask('/', { browser })
    t.match(text, '<header>Fabrikam</header>')
    t.match(text, 'No application here is open to you.')
  })
})

// proves: adv-page-404
t.test('without branding and applications', async (t) => {
  const gateway = await startTestGateway(t, { config: { server: { contact: 'it-help@contoso.example' } } })
  const { browser, answer } = await gateway.signIn(PERSON_IDS.staff)
  t.match(answer.text, /<header>Gatehouse<\/header>/)
  t.notMatch(answer.text, /Open to you|No application/)
  const missing = await gateway.ask('/no-such-page', { browser })
  t.notMatch(missing.text, /it-help|Reference/, 'nothing is broken: there is nobody to ask')
})

// proves: adv-page-contrast
t.test('text on a button and links can be read, whatever the colour, by day and by night', async (t) => {
  for (let color = 0; color < 2 ** 24; color += 74_357) {
    const hex = `#${color.toString(16).padStart(6, '0')}`
    const { button, buttonInk, accent, accentDark } = paletteOf(hex)
    const ratios = [contrast(button, buttonInk), contrast(CARD, accent), contrast(CARD_DARK, accentDark)]
    if (ratios.some((ratio) => ratio < 4.5)) t.fail(`${hex}: ${ratios.join(', ')}`)
  }
  t.equal(Math.round(contrast('#000000', '#ffffff')), 21)
  t.equal(paletteOf('#1f5fbf').accent, '#1f5fbf', 'a colour that can be read stays as it is')
})
