// The text of one Python string literal (Python's reference, "String and Bytes literals"): prefix, quotes, escapes.

const LITERAL = /^([a-z]*)("""|'''|"|')([\s\S]*)$/i
const ESCAPE = /\\(?:(\n)|([0-7]{1,3})|(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8}))|([abfnrtv\\'"])|[NUux])/g
const CHARACTERS: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}

export type StringReading = { readonly text: string } | { readonly refused: string } | { readonly unfinished: true }

export function readPythonString(source: string): StringReading {
  const [, prefix = '', quote = '', rest = ''] = LITERAL.exec(source) ?? []
  if (quote === '' || !rest.endsWith(quote)) return { unfinished: true }
  const body = rest.slice(0, -quote.length)
  if (/f/i.test(prefix)) return { refused: 'is an f-string' }
  if (/b/i.test(prefix)) return { refused: 'is bytes (b"..."), which never equal a text' }
  return /r/i.test(prefix) ? { text: body } : unescape(body)
}

function unescape(body: string): StringReading {
  let refused: string | undefined
  const text = body.replace(
    ESCAPE,
    (whole: string, newline?: string, octal?: string, two?: string, four?: string, eight?: string, letter?: string) => {
      if (newline !== undefined) return ''
      if (octal !== undefined) return String.fromCodePoint(parseInt(octal, 8))
      if (letter !== undefined) return CHARACTERS[letter] ?? whole
      const code = parseInt(two ?? four ?? eight ?? '', 16)
      if (code <= 0x10FFFF) return String.fromCodePoint(code)
      refused ??= whole === '\\N' ? 'names a character by \\N{...}' : 'has an escape that is not complete'
      return whole
    },
  )
  return refused === undefined ? { text } : { refused }
}
