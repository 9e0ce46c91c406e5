// WebSockets: judged at their handshake, and nothing that follows one passes unjudged.
import { APP } from '../../helpers/proxies-scene.js'
import { bytesOf, openTls } from '../../helpers/raw-http.js'
import { refused } from './answers.js'
import { said, send, statuses, type Column, type Context } from './context.js'

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  'Sec-Fetch-Mode: websocket',
]

/** A proxy that takes a refused handshake for one that succeeded would hand on requests that were never judged. */
async function behindHandshake({ t, started, scene }: Context): Promise<string> {
  scene.received.length = 0
  const socket = openTls(started.app)
  const handshake = HANDSHAKE.map((line) => line.replace('Version: 13', 'Version: 777'))
  const next = { line: 'GET /admin/behind HTTP/1.1', headers: [`Host: ${APP}`] }
  const text = await new Promise<string>((resolve) => {
    let answer = ''
    socket.on('error', () => resolve(answer)).on('close', () => resolve(answer))
    socket.on('data', (chunk: Buffer) => {
      if (answer === '') socket.write(bytesOf(next))
      answer += chunk.toString()
    })
    socket.write(bytesOf({ line: 'GET /open/socket HTTP/1.1', headers: [`Host: ${APP}`, ...handshake] }))
    setTimeout(() => socket.destroy(), 500)
  })
  t.same(
    scene.received.filter(({ url }) => url.includes('/admin')),
    [],
    'nothing behind the handshake arrives',
  )
  return text.slice(9, 12)
}

export const WEBSOCKET: Column = {
  title: 'WebSocket',
  summary: statuses,
  rows: [
    {
      title: 'signed in',
      ask: async (context) =>
        said(await send(context, { target: '/socket', cookie: context.people.staff, headers: HANDSHAKE })),
    },
    { title: 'refused by the application, another request behind it', ask: behindHandshake },
    refused('not signed in', () => ({ target: '/socket', headers: HANDSHAKE }), said),
    refused(
      'not allowed',
      ({ people }) => ({ target: '/admin/socket', cookie: people.ordinary, headers: HANDSHAKE }),
      said,
    ),
    refused(
      'not signed in, `Accept: text/html`',
      () => ({
        target: '/socket',
        headers: [...HANDSHAKE.filter((line) => !line.startsWith('Sec-Fetch')), 'Accept: text/html'],
      }),
      said,
    ),
  ],
}
