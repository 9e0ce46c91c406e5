// Pieces of HTTP: methods, paths, header names, separators.
import { METHODS } from 'node:http'
import { valueProblem, type ValueProblem } from '../problem.js'
import type { Kind } from './kind.js'

const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
const MESSAGE = [
  'content-length',
  'content-type',
  'content-encoding',
  'host',
  'date',
  'location',
  'set-cookie',
  'cookie',
  'cache-control',
  'vary',
  'www-authenticate',
  'authorization',
]
const OWN = ['remote-user', 'remote-email', 'remote-name', 'remote-groups']

export const method: Kind = {
  title: 'HTTP method',
  pattern: '^[A-Z-]+$',
  read(text, { shown }) {
    if (METHODS.includes(text)) return { value: text }
    const upper = text.toUpperCase()
    return valueProblem(
      'method_invalid',
      `must be an HTTP method in capitals, but is ${shown}`,
      METHODS.includes(upper) ? `Write ${upper}` : 'Write GET, HEAD, POST and so on.',
    )
  },
}

export const pathPattern: Kind = {
  title: 'path pattern',
  pattern: '^/',
  read(text, { shown }) {
    const wrong = wrongPath(text)
    return wrong === undefined
      ? { value: text }
      : valueProblem(
        'path_pattern_invalid',
        `${wrong}: ${shown}`,
        'Write a path like /admin, /api/*/items or /static/**',
      )
  },
}

/** Requests are judged by the path after its percent-encoding is read, so a rule that has one could never match. */
function wrongPath(text: string): string | undefined {
  if (!text.startsWith('/')) return 'must begin with /'
  if (/[?#]/.test(text)) return 'must be a path without query or fragment'
  if (/[\p{Cc}\p{Cs}\p{Z}\\;%]/u.test(text)) return 'has a space, a control character or one of \\ ; %'
  const segments = text.slice(1).split('/')
  if (segments.some((segment, index) => segment === '' && index < segments.length - 1)) {
    return 'has two slashes in a row'
  }
  if (segments.some((segment) => segment === '.' || segment === '..')) return 'has a dot segment'
  if (segments.some((segment, index) => segment.includes('**') && (segment !== '**' || index < segments.length - 1))) {
    return 'has ** elsewhere than as its last segment'
  }
  return segments.some((segment) => segment.includes('*') && segment !== '*' && segment !== '**')
    ? 'has a * that is not a whole segment'
    : undefined
}

export const headerName: Kind = {
  title: 'header name',
  pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
  read(text, { shown }): { value: string } | ValueProblem {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(text)) {
      return valueProblem(
        'header_name_invalid',
        `must be the name of a header, but is ${shown}`,
        'Use letters, digits and hyphens: Remote-User-Group',
      )
    }
    // RFC 3875 section 4.1.18: applications behind CGI or WSGI cannot distinguish Remote_User from Remote-User.
    const name = text.toLowerCase().replaceAll('_', '-')
    if (HOP_BY_HOP.includes(name)) {
      return valueProblem(
        'header_name_reserved',
        `is ${shown}, which belongs to a single connection and never reaches the application`,
        'Choose another name.',
      )
    }
    if (MESSAGE.includes(name)) {
      return valueProblem(
        'header_name_reserved',
        `is ${shown}, which has a meaning of its own in HTTP`,
        'Choose another name.',
      )
    }
    if (OWN.includes(name) || name.startsWith('x-auth-request-') || name.startsWith('x-gatehouse-')) {
      return valueProblem(
        'header_name_reserved',
        `is ${shown}, which Gatehouse sets itself`,
        'Choose another name, or use headers.families.',
      )
    }
    return { value: text }
  },
}

// Letters and digits stand in percent-encodings: a separator there would tear them apart.
export const separator: Kind = {
  title: 'character',
  pattern: '^[!-/:-@[-`{-~]$',
  read(text, { shown }) {
    if (text === '%') {
      return valueProblem(
        'separator_invalid',
        'is "%", which marks encoded characters',
        'Choose another character, such as | or ;',
      )
    }
    return /^[!-/:-@[-`{-~]$/.test(text)
      ? { value: text }
      : valueProblem(
        'separator_invalid',
        `must be one visible ASCII character that is no letter or digit, but is ${shown}`,
        'Write | or ; or another single character.',
      )
  },
}
