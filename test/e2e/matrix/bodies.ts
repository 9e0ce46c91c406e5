// What has to pass whole: bodies and the application's own cookies. And what must not: Gatehouse's.
import { JSON_CLIENT, said, send, statuses, type Column, type Context, type Row, type Sending } from './context.js'

const MEGABYTE = 'x'.repeat(1024 * 1024)
const cookies = (kilobytes: number) =>
  Array.from({ length: kilobytes }, (_, index) => `big${index}=${'x'.repeat(1_014)}`).join('; ')

const cookieRow = (kilobytes: number): Row => ({
  title: `${kilobytes} KB of the application's own cookies`,
  async ask(context) {
    const cookie = `${context.people.staff}; ${cookies(kilobytes)}`
    const outcome = await send(context, { cookie })
    const [received] = outcome.seen
    if (!received) return said(outcome)
    context.t.equal(received.headers.cookie?.match(/big\d+=/g)?.length, kilobytes)
    return said(outcome)
  },
})

async function posted(context: Context, sending: Sending): Promise<string> {
  const outcome = await send(context, { method: 'POST', target: '/form', cookie: context.people.staff, ...sending })
  return `${said(outcome)}, ${outcome.answer.body === `POST /form ${MEGABYTE}` ? 'whole' : 'not whole'}`
}

export const BODIES: Column = {
  title: 'Bodies and cookies',
  summary: statuses,
  rows: [
    {
      title: 'a body of 1 MB',
      async ask(context) {
        return await posted(context, { body: MEGABYTE })
      },
    },
    {
      title: 'the same in chunks',
      async ask(context) {
        const body = `${MEGABYTE.length.toString(16)}\r\n${MEGABYTE}\r\n0\r\n\r\n`
        return await posted(context, { body, headers: [...JSON_CLIENT, 'Transfer-Encoding: chunked'] })
      },
    },
    ...[17, 20, 30, 60].map(cookieRow),
    {
      title: "Gatehouse's own cookies",
      async ask(context) {
        const cookie = `theme=dark; ${context.people.staff}; gatehouse_login=x; lang=en`
        const [received] = (await send(context, { cookie })).seen
        context.t.match(received?.headers.cookie ?? '', /theme=dark.*lang=en/)
        return received?.headers.cookie?.includes('gatehouse') ? 'arrive' : 'taken away'
      },
    },
    {
      title: "`Cookie` where only Gatehouse's own was there",
      async ask(context) {
        const pairs = context.people.staff.split('; ')
        const cookie = pairs.filter((pair) => pair.includes('gatehouse')).join('; ')
        const [received] = (await send(context, { cookie })).seen
        const value = received?.headers.cookie
        return value === undefined ? 'none' : value === '' ? 'empty' : "Gatehouse's own"
      },
    },
  ],
}
