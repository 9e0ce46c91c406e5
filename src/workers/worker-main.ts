// The program of a worker. It follows the primary process alone: a terminal, and whatever stops a whole process group,
// sends signals to every process of it, and the primary process decides what they mean.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const { runWorker } = await import('./worker.js')
runWorker()
