// What it costs to judge one path of 8 KB that was written to cost much: the median of a hundred.
import { pathInterpretations } from '../dist/core/path-interpretations.js'

const repeated = (unit, end = '') => `/x${unit.repeat(Math.floor((8_190 - end.length) / unit.length))}${end}`
const PATHS = {
  'a mixture of all': repeated('\\//;%252e%2e%255c'),
  '/..%2f': repeated('/..%2f'),
  '%252f': repeated('%252f'),
  '%20/': repeated('%20/'),
  '%C3%A9 and one %2f': repeated('%C3%A9', '%2f'),
}

for (const [name, path] of Object.entries(PATHS)) {
  const times = []
  let interpretations
  for (let round = 0; round < 100; round++) {
    const began = performance.now()
    interpretations = pathInterpretations(path)
    times.push(performance.now() - began)
  }
  times.sort((a, b) => a - b)
  const count = interpretations === 'unknowable' ? 'over the limit' : `${interpretations.length} interpretations`
  console.log(
    `${name.padEnd(20)} ${count.padEnd(18)} fastest ${times[0].toFixed(2)} ms, median ${times[50].toFixed(2)} ms`,
  )
}
