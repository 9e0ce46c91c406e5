// Caches a value derived from the configuration until the configuration changes: it is read on every request.

export function memoizeByConfig<Config, Value>(
  current: () => Config,
  derive: (config: Config) => Value,
): () => Value {
  let cached: { readonly config: Config, readonly value: Value } | undefined
  return () => {
    const config = current()
    if (cached?.config !== config) cached = { config, value: derive(config) } // guard: adv-stale-rules
    return cached.value
  }
}
