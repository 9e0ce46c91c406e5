// What a gateway says to Prometheus, as numbers by series.
import type { TestGateway } from './gateway.js'

/** @returns series as they are written, with their labels, and what they stand at */
export async function seriesOf({ management }: Pick<TestGateway, 'management'>): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${management}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => {
    const space = line.lastIndexOf(' ')
    return [line.slice(0, space), Number(line.slice(space + 1))]
  }))
}
