// Loaded into the gateway's own process by a benchmark: the memory after a collection, when it is asked for. Costs
// requests nothing.
process.on('message', (question) => {
  if (question !== 'memory') return
  globalThis.gc()
  globalThis.gc()
  process.send({ rss: process.memoryUsage.rss(), heap: process.memoryUsage().heapUsed })
})
process.channel?.unref()
