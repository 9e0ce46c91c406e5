// Bars over time as SVG made on the server. The drawing stretches to any width, so its words stand in HTML beside it;
// the numbers are in a table that opens below it.
import { scaleLinear } from 'd3-scale'
import { stack } from 'd3-shape'
import { html, type Html } from '../../pages/html.js'

export interface Bucket {
  /** Shown in the table and below the ends of the chart: "2026-11-28 09:00". */
  readonly label: string
  /** Where the numbers of this bucket are shown in more detail. */
  readonly href?: string
}

export interface BarChart {
  /** Unique in the page. */
  readonly id: string
  readonly title: string
  /**
   * At most three, drawn one above the other, the first at the bottom; `values` has one number for each bucket, or null
   * where it is not known.
   */
  readonly series: readonly { readonly name: string, readonly values: readonly (number | null)[] }[]
  /** The values are a level and are never added: the last one is named, and the table has the changes alone. */
  readonly level?: boolean
  readonly buckets: readonly Bucket[]
  /** Heading of the table's first column. */
  readonly bucketName?: string
}

/** Width of a bucket; its bar is a line in the middle, as wide as the style sheet says. */
const BUCKET = 10
const HEIGHT = 100
const TICKS = 3

export function barChart(chart: BarChart): Html {
  const { id, title, series } = chart
  const legend = series.map(({ name, values }, index) => {
    const colour = html`class="series-${index + 1}"`
    return html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><path d="M5 10V0" ${colour}/></svg>${name}: ${
      figureOf(chart, values)
    }</li>`
  })
  return html`<figure class="chart">
<figcaption id="${id}-caption">${title}</figcaption>
<ul class="legend">${legend}</ul>
${plot(chart)}
<details><summary>The numbers of this chart</summary>${table(chart)}</details>
</figure>`
}

function table({ title, series, buckets, level = false, bucketName = 'Time (UTC)' }: BarChart): Html {
  const changes = (at: number) => at === 0 || series.some(({ values }) => values[at] !== values[at - 1])
  const rows = buckets.map(({ label, href }, at) => {
    if (level && !changes(at)) return ''
    const cells = series.map(({ values }) => html`<td>${values[at] ?? (level ? 'not known' : 0)}</td>`)
    return html`<tr><th scope="row">${
      href === undefined ? label : html`<a href="${href}">${label}</a>`
    }</th>${cells}</tr>
`
  })
  const head = series.map(({ name }) => html`<th scope="col">${name}</th>`)
  return html`<div class="scroll" role="group" tabindex="0" aria-label="${title}: numbers"><table class="numbers">
<caption class="unseen">${title}</caption>
<thead><tr><th scope="col">${bucketName}</th>${head}</tr></thead>
<tbody>${rows}</tbody></table></div>`
}

const widthOf = (buckets: BarChart['buckets']): number => BUCKET * buckets.length

/** The layers of the series, one above the other: a path for each, with a rectangle for each bucket. */
function layersOf({ series, buckets }: BarChart) {
  const rows = buckets.map((_, at) => series.map(({ values }) => values[at] ?? 0))
  const most = Math.max(1, ...rows.map((row) => row.reduce((sum, value) => sum + value, 0)))
  const y = scaleLinear().domain([0, most]).range([HEIGHT, 0]).nice(TICKS)
  const keys = series.map((_, index) => index)
  const layers = stack<number[], number>().keys(keys).value((row, key) => row[key] ?? 0)(rows)
  const paths = layers.map((layer) =>
    layer.map(([low, high], at) => {
      if (high <= low) return ''
      return `M${BUCKET * at + BUCKET / 2} ${short(y(low))}V${short(y(high))}`
    }).join('')
  )
  return { paths, top: y.domain()[1] ?? most, lines: y.ticks(TICKS).map((tick) => short(y(tick))) }
}

function plot(chart: BarChart): Html {
  const { id, title, buckets } = chart
  const { paths, top, lines } = layersOf(chart)
  const grid = lines.map((y) => html`<line class="grid" x1="0" x2="${widthOf(buckets)}" y1="${y}" y2="${y}"/>`)
  return html`<div class="plot"><div class="scale" aria-hidden="true"><span>${top}</span><span>0</span></div>
<svg viewBox="0 0 ${
    widthOf(buckets)
  } ${HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby="${id}-title ${id}-desc">
<title id="${id}-title">${title}</title><desc id="${id}-desc">${describe(chart)}</desc>
${grid}
${paths.map((path, index) => html`<path class="series-${index + 1}" d="${path}"/>`)}
</svg>
<div class="range" aria-hidden="true"><span>${buckets[0]?.label}</span><span>${buckets.at(-1)?.label}</span></div>
</div>`
}

function describe(chart: BarChart): string {
  const { series, buckets } = chart
  const sums = series.map(({ name, values }) => {
    const peak = values.reduce<number>((best, value, at) => ((value ?? 0) > (values[best] ?? 0) ? at : best), 0)
    const most = values[peak] ?? 0
    return `${name}: ${figureOf(chart, values)}${
      most === 0 ? '' : `, most at ${buckets[peak]?.label ?? ''} (${most})`
    }.`
  })
  return `${buckets.length} bars, from ${buckets[0]?.label ?? ''} to ${buckets.at(-1)?.label ?? ''}. ${sums.join(' ')}`
}

/** What one series comes to: its sum, or its last level. */
function figureOf({ level = false }: BarChart, values: readonly (number | null)[]): number | string {
  if (level) return values.findLast((value) => value !== null) ?? 'not known'
  return values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10)
}
