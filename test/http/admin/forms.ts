// Forms of the console, as a browser without JavaScript asks for them and sends them.
import { request } from 'undici'
import type { AdminScene, ApiClient } from './helper.js'

export function formsOf(gateway: AdminScene['gateway']) {
  const page = async ({ browser }: ApiClient, path: string) => await gateway.ask(path, { browser })
  const send = async ({ browser }: ApiClient, path: string, fields: Record<string, string>, headers = {}) => {
    const answer = await request(`${gateway.url}${path}`, {
      method: 'POST',
      headers: {
        'cookie': browser.cookieHeader(gateway.url),
        'accept': 'text/html',
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
        ...headers,
      },
      body: new URLSearchParams(fields).toString(),
    })
    const { statusCode: status, headers: received, body } = answer
    return { status, headers: received, location: received['location'], text: await body.text() }
  }
  /** The form at this address with its hidden fields, sent with these. */
  const fill = async (client: ApiClient, path: string, fields: Record<string, string>) =>
    await send(client, path, { ...hiddenOf((await page(client, path)).text), ...fields })
  return { page, send, fill }
}

export function hiddenOf(text: string): Record<string, string> {
  const form = text.slice(text.indexOf('<form class="act"'))
  const fields = [...form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
  return Object.fromEntries(
    fields.map(([, name = '', value = '']) => [name, value.replace(/&#(\d+);/g, (_, n) => String.fromCharCode(n))]),
  )
}
