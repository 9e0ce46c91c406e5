// The metrics of several processes as those of one: each metric names how its values are put together. What a process
// that has ended had counted is kept, so that no sum goes back.
import { AggregatorRegistry, type Aggregator, type PrometheusContentType } from 'prom-client'

export interface SeriesValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** Of a histogram: the name with its suffix. */
  readonly metricName?: string
}

/** One metric of one process, as prom-client's getMetricsAsJSON returns it. */
export interface MetricSnapshot {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator: Aggregator
  readonly values: readonly SeriesValue[]
}

export interface SummedMetrics {
  /** What a process has now; its last one is used until the next. */
  update(process: number, snapshot: readonly MetricSnapshot[]): void
  /** The process has ended: what it counted is kept, its gauges are dropped. */
  ended(process: number): void
  /** @param own of this process @param answering the processes whose gauges are up to date */
  text(own: readonly MetricSnapshot[], answering: ReadonlySet<number>): Promise<{ type: string, body: string }>
}

const COUNTED = ['counter', 'histogram', 'summary']

export function createSummedMetrics(): SummedMetrics {
  const latest = new Map<number, readonly MetricSnapshot[]>()
  let ofEnded: Promise<readonly MetricSnapshot[]> = Promise.resolve([])
  return {
    update(process, snapshot) {
      latest.set(process, snapshot)
    },
    ended(process) {
      const counted = countersOf(latest.get(process) ?? []).filter(isSummed)
      latest.delete(process)
      ofEnded = ofEnded.then((before) => snapshotOf(aggregate([before, counted]))) // guard: workers-counters-kept
    },
    async text(own, answering) {
      const live = [...latest].map(([process, all]) => answering.has(process) ? all : countersOf(all))
      const registry = aggregate([startOf(own), await ofEnded, ...live])
      return { type: registry.contentType, body: await registry.metrics() }
    },
  }
}

function countersOf(snapshot: readonly MetricSnapshot[]): MetricSnapshot[] {
  return snapshot.filter(({ type }) => COUNTED.includes(type))
}

/**
 * Not a counter of what every process counts alike: the highest value of a process that has ended would hide what the
 * others count from then on. Where it goes back to a lower one, Prometheus takes it for the start of a new process.
 */
function isSummed({ aggregator }: MetricSnapshot): boolean {
  return aggregator === 'sum' // guard: workers-shared-counters
}

/** prom-client leaves the start of the process out where it puts several together; this process began first. */
function startOf(own: readonly MetricSnapshot[]): MetricSnapshot[] {
  return own.map((metric) => metric.aggregator === 'omit' ? { ...metric, aggregator: 'min' } : metric)
}

type Registry = ReturnType<typeof AggregatorRegistry.aggregate<PrometheusContentType>>

function aggregate(snapshots: readonly (readonly MetricSnapshot[])[]): Registry {
  return AggregatorRegistry.aggregate<PrometheusContentType>(snapshots as unknown as object[])
}

/** Its metrics are plain: what they were put together from. */
async function snapshotOf(registry: Registry): Promise<readonly MetricSnapshot[]> {
  return await registry.getMetricsAsJSON() as unknown as readonly MetricSnapshot[]
}
