// What no generator of secrets makes, and people do. Three rules of one sentence each. A sentence of
// words passes them, so the remedy names a generator.

const DISTINCT = 8
/** Of the characters that are compared, so many may be alike before a text counts as a repetition. */
const REPEATED = 0.75
const COUNTED = 0.65

/** @returns what is wrong, after "it"; undefined for a text that is none of these */
export function easyToGuess(text: string): string | undefined {
  const distinct = new Set(text).size
  if (distinct < DISTINCT) {
    return `has only ${distinct} different ${distinct === 1 ? 'character' : 'characters'}, of at least ${DISTINCT}`
  }
  if (isRepetition(text.toLowerCase())) return 'repeats the same text'
  return isSequence(text.toLowerCase()) ? 'is mostly a row of neighbours, like abcd or 4321' : undefined
}

/** A shorter text, several times: most characters are the one that stands a fixed distance before. */
function isRepetition(text: string): boolean {
  for (let distance = 1; distance <= text.length / 2; distance++) {
    let same = 0
    for (let index = distance; index < text.length; index++) if (text[index] === text[index - distance]) same++
    if (same >= REPEATED * (text.length - distance)) return true
  }
  return false
}

function isSequence(text: string): boolean {
  let neighbours = 0
  for (let index = 1; index < text.length; index++) {
    if (Math.abs(text.charCodeAt(index) - text.charCodeAt(index - 1)) <= 1) neighbours++
  }
  return neighbours >= COUNTED * (text.length - 1)
}
