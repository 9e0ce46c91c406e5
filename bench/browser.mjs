// A person with a browser, as far as a login needs one: redirects are followed with a cookie jar, and the sign-in page
// of the simulated Entra ID is filled in.
import { request } from 'node:http'
import { signInAs } from '../dist/demo/entra/sign-in-as.js'

/**
 * Opens a protected page until it is there. Cookies belong to the host, whatever the port (RFC 6265 8.5).
 * @returns the Cookie header the page is opened with from then on
 * @throws where the page is not reached
 */
export async function logIn(page, entraUrl, person) {
  const jar = new Map()
  const header = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  let url = page
  for (let hop = 0; hop < 12; hop++) {
    const answer = await open(url, header())
    for (const line of answer.headers['set-cookie'] ?? []) keep(jar, line)
    if (answer.status === 200 && url === page) return header()
    const { location } = answer.headers
    if (location === undefined) throw new Error(`${url} answered ${answer.status}: ${answer.text.slice(0, 500)}`)
    url = new URL(location, url).href
    if (url.startsWith(entraUrl)) {
      const signedIn = await signInAs(url, person)
      if (signedIn.location === undefined) throw new Error(`the sign-in page answered ${signedIn.status}`)
      url = signedIn.location
    }
  }
  throw new Error(`${page} was not reached: too many redirects`)
}

/** Not with fetch, which says of itself that it loads no page (Sec-Fetch-Mode). */
function open(url, cookie) {
  return new Promise((resolve, reject) => {
    request(url, {
      agent: false,
      headers: {
        'accept': 'text/html',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
        ...cookie !== '' && { cookie },
      },
    }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      }).on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
    }).on('error', reject).end()
  })
}

function keep(jar, line) {
  const [pair, ...attributes] = line.split(';')
  const [, name, value] = /^([^=]*)=(.*)$/.exec(pair) ?? []
  const over = attributes.some((each) => /^\s*(max-age=0*$|max-age=-|expires=.*\b1970\b)/i.test(each))
  if (over || value === '') jar.delete(name)
  else jar.set(name, value)
}
