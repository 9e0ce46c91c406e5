// Addresses of the console.

export type LinkParameters = Readonly<Record<string, string | number | boolean | null | undefined>>

/** @param parameters those that are empty or undefined are left out, so that an address shows what was chosen */
export function link(path: string, parameters: LinkParameters = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== '') query.set(name, String(value))
  }
  const text = query.toString()
  return text === '' ? path : `${path}?${text}`
}

/** @param name of a group or the id of an object */
export function linkTo(section: string, name: string): string {
  return `/admin/${section}/${encodeURIComponent(name)}`
}

/** The same address with one more parameter: it may have a query and a place in the page. */
export function withParameter(address: string, name: string, value: string): string {
  const [path = '', place] = address.split('#', 2)
  const [base = '', query = ''] = path.split('?', 2)
  const parameters = new URLSearchParams(query)
  parameters.set(name, value)
  return `${base}?${parameters}${place === undefined ? '' : `#${place}`}`
}
