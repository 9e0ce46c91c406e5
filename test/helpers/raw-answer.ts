// Reads one answer of HTTP/1.1 from bytes: status, headers as they stand, and the body by Content-Length or chunks.
export interface RawAnswer {
  /** 0: no answer. */
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

export interface AnswerReader {
  /** @returns whether the answer is complete */
  add(chunk: Buffer): boolean
  answer(): RawAnswer
  /** Bytes behind the answer. */
  rest(): Buffer
}

/** All values of a header, in order. */
export function valuesOf({ headers }: RawAnswer, name: string): string[] {
  return headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value)
}

/** @param bodiless the answer to a HEAD */
export function createAnswerReader(bodiless = false): AnswerReader {
  let bytes = Buffer.alloc(0)
  let done: { answer: RawAnswer, rest: Buffer } | undefined
  return {
    add(chunk) {
      bytes = Buffer.concat([bytes, chunk])
      done ??= read(bytes, bodiless)
      return done !== undefined
    },
    answer: () => done?.answer ?? untilClosed(bytes),
    rest: () => done?.rest ?? Buffer.alloc(0),
  }
}

function read(bytes: Buffer, bodiless: boolean): { answer: RawAnswer, rest: Buffer } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = headOf(bytes.subarray(0, end).toString('latin1'))
  const rest = bytes.subarray(end + 4)
  if (head.status >= 100 && head.status < 200 && head.status !== 101) return read(rest, bodiless)
  if (bodiless || head.status === 204 || head.status === 304 || head.status === 101) return { answer: head, rest }
  if (/chunked/i.test(valuesOf(head, 'transfer-encoding').join())) return chunked(head, rest)
  const length = valuesOf(head, 'content-length')[0]
  if (length === undefined || rest.length < Number(length)) return undefined // without a length: until it is closed
  return { answer: { ...head, body: rest.subarray(0, Number(length)).toString() }, rest: rest.subarray(Number(length)) }
}

function chunked(head: RawAnswer, bytes: Buffer): { answer: RawAnswer, rest: Buffer } | undefined {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const end = bytes.indexOf('\r\n', at)
    if (end < 0) return undefined
    const size = parseInt(bytes.subarray(at, end).toString('latin1'), 16)
    if (Number.isNaN(size) || bytes.length < end + 2 + size + 2) return undefined
    parts.push(bytes.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
    if (size === 0) return { answer: { ...head, body: Buffer.concat(parts).toString() }, rest: bytes.subarray(at) }
  }
}

function headOf(text: string): RawAnswer {
  const [line = '', ...lines] = text.split('\r\n')
  const headers = lines.map((each): readonly [string, string] => {
    const colon = each.indexOf(':')
    return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()]
  })
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? 0), headers, body: '' }
}

/** What is there of an answer whose end is the end of the connection. */
function untilClosed(bytes: Buffer): RawAnswer {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return headOf(bytes.toString('latin1'))
  return { ...headOf(bytes.subarray(0, end).toString('latin1')), body: bytes.subarray(end + 4).toString() }
}
