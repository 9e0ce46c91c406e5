// What the values of a parsed file must be: judges that name every problem with its path.

export type Path = readonly (string | number)[]
export type FileProblem = readonly [at: Path, message: string]
export type Judge = (value: unknown, at: Path) => FileProblem[]

export const text: Judge = (value, at) => typeof value === 'string' ? [] : [[at, 'must be text']]
export const nonEmptyText: Judge = (value, at) =>
  typeof value === 'string' && value !== '' ? [] : [[at, 'must be text that is not empty']]
export const listOf = (item: Judge): Judge => (value, at) =>
  Array.isArray(value) ? value.flatMap((each, index) => item(each, [...at, index])) : [[at, 'must be a list']]
export const keys =
  (required: Readonly<Record<string, Judge>>, optional: Readonly<Record<string, Judge>> = {}): Judge => (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[at, 'must have keys']]
    const missing = Object.keys(required).filter((key) => !Object.hasOwn(value, key))
    const judges = new Map(Object.entries({ ...required, ...optional }))
    return [
      ...missing.map((key): FileProblem => [at, `must have the key ${key}`]),
      ...Object.entries(value).flatMap(([key, each]): FileProblem[] =>
        judges.get(key)?.(each, [...at, key]) ?? [[[...at, key], 'is not a key that is known here']]
      ),
    ]
  }
