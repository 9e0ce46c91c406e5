// Watches a list of files for changes. It polls with stat, because a Kubernetes volume replaces a symlink, which
// inotify on the file does not report.
import { unwatchFile, watchFile } from 'node:fs'

export interface FileWatcher {
  start(intervalMs: number, files: readonly string[]): void
  /** Replaces the list; without effect before `start`. */
  follow(files: readonly string[]): void
}

export function createFileWatcher(changed: () => void): FileWatcher {
  let watched: readonly string[] = []
  let interval: number | undefined
  const follow = (files: readonly string[]): void => {
    if (interval === undefined) return
    for (const path of watched) if (!files.includes(path)) unwatchFile(path, changed)
    for (const path of files) {
      if (!watched.includes(path)) watchFile(path, { interval, persistent: false }, changed)
    }
    watched = files
  }
  return {
    follow,
    start(intervalMs, files) {
      interval = intervalMs
      follow(files)
    },
  }
}
