// A browser as far as HTTP goes: cookies by host, redirects followed by hand so that a test sees each of them.
import { Agent, Headers, request, type Dispatcher } from 'undici'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly url: string
  readonly location: string | undefined
}
export interface Ask {
  method?: string
  headers?: Record<string, string>
  form?: Record<string, string>
}

export interface Browser {
  /** Host, or a domain behind a dot -> name -> value. */
  readonly cookies: Map<string, Map<string, string>>
  ask(url: string, ask?: Ask): Promise<Answer>
  /** Follows redirects until an answer is none. @returns the last answer and every address on the way */
  follow(url: string, ask?: Ask): Promise<Answer & { readonly trail: readonly string[] }>
  cookieHeader(url: string): string
}

export const NAVIGATION = {
  'accept': 'text/html,application/xhtml+xml',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'same-origin',
}

/** `dispatcher`: connections that many browsers share, where a test has hundreds of them. */
export function createBrowser(options: { ca?: string, dispatcher?: Dispatcher } = {}): Browser {
  const cookies: Browser['cookies'] = new Map()
  const dispatcher = options.dispatcher ??
    new Agent({ keepAliveTimeout: 100, ...(options.ca ? { connect: { ca: options.ca } } : {}) })
  const jar = (url: string, host = new URL(url).hostname) => {
    const found = cookies.get(host) ?? new Map<string, string>()
    cookies.set(host, found)
    return found
  }
  const browser: Browser = {
    cookies,
    cookieHeader: (url) =>
      [...jar(url), ...domainsAbove(url).flatMap((domain) => [...cookies.get(domain) ?? []])].map(([name, value]) =>
        `${name}=${value}`
      ).join('; '),
    async ask(url, { method = 'GET', headers = {}, form } = {}) {
      const cookie = browser.cookieHeader(url)
      // not fetch: that adds sec-fetch-mode: cors to what a test says
      const response = await request(url, {
        dispatcher,
        method: method as 'GET',
        headers: {
          ...NAVIGATION,
          ...(cookie ? { cookie } : {}),
          ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
          ...headers,
        },
        body: form ? new URLSearchParams(form).toString() : null,
      })
      const received = new Headers()
      for (const [name, value] of Object.entries(response.headers)) {
        for (const each of [value ?? []].flat()) received.append(name, each)
      }
      for (const line of received.getSetCookie()) keep(jar(url, domainOf(line, url)), line)
      const location = received.get('location')
      return {
        status: response.statusCode,
        headers: received,
        text: await response.body.text(),
        url,
        location: location === null ? undefined : new URL(location, url).href,
      }
    },
    async follow(url, ask) {
      const trail = [url]
      let answer = await browser.ask(url, ask)
      while (answer.location !== undefined && trail.length < 15) {
        trail.push(answer.location)
        answer = await browser.ask(answer.location)
      }
      return { ...answer, trail }
    },
  }
  return browser
}

/** RFC 6265 section 5.3: a Domain that does not hold the host loses the cookie. */
function domainOf(line: string, url: string): string {
  const [, domain] = /;\s*domain=\.?([^;\s]+)/i.exec(line) ?? []
  if (domain === undefined) return new URL(url).hostname
  return domainsAbove(url).includes(`.${domain}`) ? `.${domain}` : '.lost'
}

function domainsAbove(url: string): string[] {
  const labels = new URL(url).hostname.split('.')
  return labels.map((_, index) => `.${labels.slice(index).join('.')}`)
}

function keep(jar: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
  const equals = pair.indexOf('=')
  const over = attributes.some((attribute) =>
    /^max-age=0$/i.test(attribute) || (/^expires=/i.test(attribute) && Date.parse(attribute.slice(8)) <= Date.now())
  )
  if (over) jar.delete(pair.slice(0, equals))
  else jar.set(pair.slice(0, equals), pair.slice(equals + 1))
}

/** The fields of the first form on a page, hidden ones included. */
export function formOf(answer: Answer): { action: string, fields: Record<string, string> } {
  const [, attributes = '', inner = ''] = /<form([^>]*)>([\s\S]*?)<\/form>/.exec(answer.text) ?? []
  const action = new URL(unescape(/action="([^"]*)"/.exec(attributes)?.[1] ?? ''), answer.url).href
  const fields = Object.fromEntries(
    [...inner.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)].map((
      [, name = '', value = ''],
    ) => [unescape(name), unescape(value)]),
  )
  return { action, fields }
}

function unescape(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))).replace(/&quot;/g, '"')
    .replace(/&amp;/g, '&')
}
