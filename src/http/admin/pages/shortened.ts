// Text of a list: what is too long for a row is cut, and shown whole on the page of its object.

const MOST = 60

export function shortened(text: string, most = MOST): string {
  const characters = [...text]
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`
}
