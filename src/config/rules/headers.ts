// Identity headers: a name is sent once.
import { entries, type Rule } from './rule.js'

export const headerNamesOnce: Rule = ({ headers }, report) => {
  const first = new Map<string, string>()
  for (const { item: { name }, path } of entries(headers?.extra, 'headers.extra')) {
    if (name === undefined) continue
    const key = name.toLowerCase().replaceAll('_', '-')
    const earlier = first.get(key)
    if (earlier === undefined) first.set(key, path)
    else {
      report.problem(
        `${path}.name`,
        'header_repeated',
        `${path}.name ${report.textOf(`${path}.name`, name)} is set by ${earlier} already.`,
        'Choose another name; headers that differ only in case or in _ and - count as the same.',
      )
    }
  }
}

export const familiesOnce: Rule = ({ headers }, report) => {
  const seen = new Set<string>()
  for (const { item, path } of entries(headers?.families, 'headers.families')) {
    if (seen.has(item)) {
      report.problem(path, 'header_repeated', `${path} ${item} is in the list already.`, 'Take one of the two away.')
    }
    seen.add(item)
  }
}
