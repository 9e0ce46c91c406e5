// Programs a benchmark compares with, as they are installed: found, started in the foreground on loopback, ended by
// their own process id; and what they cost with all their processes.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** @returns its path, or undefined where it is not installed */
export function installed(name) {
  return spawnSync('sh', ['-c', `command -v ${name} || ls /usr/sbin/${name}`], { encoding: 'utf8' }).stdout.trim()
    .split('\n')[0] || undefined
}

/** Starts it and waits until its port answers. */
export async function startProgram(stage, path, args, { port, env = {} }) {
  const child = stage.track(spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } }))
  let output = ''
  child.stderr.on('data', (chunk) => {
    output = `${output}${chunk}`.slice(-4_000)
  })
  for (let each = 0; each < 200; each++) {
    if (child.exitCode !== null) throw new Error(`${path} ended with ${child.exitCode}:\n${output}`)
    if (await connects(port)) return child
    await sleep(50)
  }
  throw new Error(`${path} did not come up:\n${output}`)
}

function connects(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })
}

/**
 * CPU time so far, in seconds, of these processes and of all they have started, those that ended meanwhile included.
 */
export function cpuOfAll(children) {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => statOf(pid) ?? [])
  const family = new Set(children.map(({ pid }) => pid))
  for (let before = 0; before < family.size;) {
    before = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => family.has(pid)).reduce((sum, { ticks }) => sum + ticks, 0) / 100
}

function statOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    return {
      pid: Number(pid),
      parent: Number(fields[1]),
      ticks: [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0),
    }
  } catch {
    return undefined // it has ended
  }
}

/** How many processes it runs, itself included. */
export function processesOf({ pid }) {
  return 1 + readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).length
}
