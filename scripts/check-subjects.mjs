// Subjects of commits: imperative ("Add", not "Added" or "Adds"), at most 72 characters, no full stop, no prefix.
// Without arguments every commit since SINCE is checked, where there is a checkout of Git; --message FILE checks the
// message that Git is about to use.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Subjects up to here are from before this rule. */
const SINCE = '9d55af18f784137edf947861d871fa9b58b6dee3'
const LONGEST = 72
/** Imperatives that look like another form of a verb. */
const IMPERATIVES = new Set(
  ('Address Bypass Compress Cross Discuss Dismiss Embed Express Feed Focus Need Pass Press Process Bring Seed Shed ' +
    'Speed String').split(' '),
)

/** @returns what is wrong with a subject; undefined: nothing */
export function fault(subject) {
  if (/^(?:Merge|Revert) /.test(subject)) return undefined
  const [word] = subject.split(' ')
  if (subject.length > LONGEST) return `has ${subject.length} characters; at most ${LONGEST}`
  if (/^[\w()-]+!?:/.test(subject)) return 'begins with a prefix; say what the commit does'
  if (!/^\p{Lu}/u.test(subject)) return 'does not begin with a capital letter'
  if (subject.endsWith('.')) return 'ends with a full stop'
  if (/(?:ed|ing|s)$/.test(word) && !IMPERATIVES.has(word)) return `"${word}" is not an imperative: "Add", not "Added"`
  return undefined
}

function subjects() {
  const [option, file] = process.argv.slice(2)
  if (option === '--message') {
    return [readFileSync(file, 'utf8').split('\n').find((line) => !line.startsWith('#')) ?? '']
  }
  // the checkout may be another user's
  const git = (...args) => spawnSync('git', ['-c', 'safe.directory=*', ...args], { encoding: 'utf8' })
  if (git('rev-parse', '--verify', 'HEAD').status !== 0) {
    console.log('This is not a checkout of Git: subjects of commits are not checked.')
    return []
  }
  const known = git('cat-file', '-e', SINCE).status === 0 // not in a clone of the newest commits alone
  const { status, stdout, stderr } = git('log', '--format=%s', ...known ? [`${SINCE}..HEAD`] : ['-1'])
  if (status !== 0) throw new Error(stderr)
  return stdout.split('\n').filter((line) => line !== '')
}

if (process.argv[1] === import.meta.filename) {
  for (const subject of subjects()) {
    const found = fault(subject)
    if (found === undefined) continue
    console.error(`commit subject: ${subject}\n    ${found}`)
    process.exitCode = 1
  }
}
