// Metrics that are counted in plain numbers and passed to prom-client when Prometheus scrapes: they change with every
// request or in floods. Each series that is known in advance starts at 0, so that increase() includes the first event.
import { Counter, Gauge, type Aggregator, type Registry } from 'prom-client'
import type { MetricSnapshot, SeriesValue } from './summed-metrics.js'

export const FAST = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5]

export interface Described {
  readonly name: string
  readonly help: string
  /** Of the values of several workers: `sum` unless they all describe the same. */
  readonly aggregator?: Aggregator
}

/** A counter with one label. The values of its series are read at each scrape. */
export function labelledCounter(
  { label, ...described }: Described & { readonly label: string },
  read: () => Iterable<readonly [string, number]>,
  registry: Registry,
): void {
  const collect = (): void => {
    made.reset()
    for (const [value, count] of read()) made.inc({ [label]: value }, count)
  }
  const made: Counter = new Counter({ ...described, labelNames: [label], registers: [registry], collect })
}

export function plainCounter(described: Described, read: () => number, registry: Registry): void {
  const collect = (): void => {
    made.reset()
    made.inc(read())
  }
  const made: Counter = new Counter({ ...described, registers: [registry], collect })
}

/** @param read undefined where it is not known: there is no series then */
export function gauge(described: Described, read: () => number | undefined, registry: Registry): void {
  labelledGauge({ ...described, labels: [] }, () => {
    const value = read()
    return value === undefined ? [] : [[{}, value]]
  }, registry)
}

export function labelledGauge(
  { labels, ...described }: Described & { readonly labels: readonly string[] },
  read: () => Iterable<readonly [Readonly<Record<string, string>>, number]>,
  registry: Registry,
): void {
  const collect = (): void => {
    made.reset()
    if (labels.length === 0) made.remove() // a gauge without labels has a series of 0 after a reset
    for (const [given, value] of read()) made.set(given, value)
  }
  const made: Gauge = new Gauge({ ...described, labelNames: [...labels], registers: [registry], collect })
}

export interface Counts<Key extends string> {
  add(key: Key): void
  entries(): Iterable<readonly [string, number]>
}

/** Counts by a key of a closed list: any other key is not counted. */
export function countsOf<Key extends string>(keys: readonly Key[]): Counts<Key> {
  const counts = new Map<string, number>(keys.map((key) => [key, 0]))
  return {
    add(key) {
      const before = counts.get(key)
      if (before !== undefined) counts.set(key, before + 1)
    },
    entries: () => counts,
  }
}

interface Series {
  readonly endpoint: string
  readonly status: number
  readonly counts: number[]
  sum: number
}

/** A histogram that costs a few comparisons: prom-client's would cost more than the answer it times. */
export function plainHistogram({ name, help }: Described, known: readonly (readonly [string, number])[]) {
  const all: Series[] = [] // a handful
  const add = (endpoint: string, status: number): Series => {
    const made = { endpoint, status, counts: new Array<number>(FAST.length + 1).fill(0), sum: 0 }
    all.push(made)
    return made
  }
  for (const [endpoint, status] of known) add(endpoint, status)
  const seriesOf = (endpoint: string, status: number): Series => {
    for (const series of all) if (series.status === status && series.endpoint === endpoint) return series
    return add(endpoint, status)
  }
  return {
    observe(endpoint: string, status: number, seconds: number): void {
      const series = seriesOf(endpoint, status)
      let bucket = 0
      while (bucket < FAST.length && seconds > (FAST[bucket] ?? Infinity)) bucket++
      series.counts[bucket] = (series.counts[bucket] ?? 0) + 1
      series.sum += seconds
    },
    text(): string {
      const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`]
      for (const { endpoint, status, counts, sum } of all) {
        const labels = `endpoint="${endpoint}",status="${status}"`
        let total = 0
        counts.forEach((count, index) => {
          total += count
          lines.push(`${name}_bucket{${labels},le="${FAST[index] ?? '+Inf'}"} ${total}`)
        })
        lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${total}`)
      }
      return `${lines.join('\n')}\n`
    },
    snapshot: (): MetricSnapshot => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: all.flatMap((series) => valuesOf(name, series)),
    }),
  }
}

function valuesOf(name: string, { endpoint, status, counts, sum }: Series): SeriesValue[] {
  const labels = { endpoint, status: String(status) }
  let total = 0
  const buckets = counts.map((count, index): SeriesValue => {
    total += count
    return { metricName: `${name}_bucket`, labels: { ...labels, le: FAST[index] ?? '+Inf' }, value: total }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ]
}
