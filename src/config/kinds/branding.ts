// What the pages look like: a colour, a picture, and the host of an application that they list.
import { valueProblem } from '../problem.js'
import { normalHost, splitPort } from './hosts.js'
import type { ImagePlace, Kind } from './kind.js'

export const color: Kind = {
  title: 'colour',
  pattern: '^#[0-9A-Fa-f]{6}$',
  read(text, { shown }) {
    if (/^#[\da-f]{6}$/i.test(text)) return { value: text.toLowerCase() }
    return valueProblem(
      'color_invalid',
      `must be a colour, but is ${shown}`,
      'Write it in six hexadecimal digits, in quotes: "#1f5fbf"',
    )
  },
}

export const image: Kind = pictureOf('path of a picture, or name of an uploaded one', 'any')
export const imageFile: Kind = pictureOf('path of a picture', 'file')
export const uploadedImage: Kind = pictureOf('name of an uploaded picture', 'uploaded')

function pictureOf(title: string, place: ImagePlace): Kind {
  return {
    title,
    read(text, context) {
      if (text.includes('\0')) return valueProblem('text_control', 'has a control character', 'Write another name.')
      const path = place === 'uploaded' ? text : context.resolvePath(text)
      return context.unusableImage(path, place) ?? { value: path }
    },
  }
}

export const applicationHost: Kind = {
  title: 'host',
  read(text, { shown }) {
    const wrong = (hint: string) => valueProblem('application_host_invalid', `must be a host, but is ${shown}`, hint)
    if (text.includes('/')) return wrong('Leave out the scheme and the path.')
    if (text.includes('*') || text.startsWith('.')) return wrong('Name one host: the home page links to it.')
    const parts = splitPort(text)
    const host = parts && normalHost(parts.host)
    if (!parts || parts.port === '*' || host === undefined) {
      return wrong('Write app.example.com or app.example.com:8443')
    }
    return { value: parts.port === undefined ? host : `${host}:${Number(parts.port)}` }
  },
}
