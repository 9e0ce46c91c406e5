// What is made of a configuration is kept until another one is in force: it is asked for on every request.

export function onceEach<From, Made>(live: () => From, make: (from: From) => Made): () => Made {
  let made: { readonly from: From, readonly value: Made } | undefined
  return () => {
    const from = live()
    if (made?.from !== from) made = { from, value: make(from) }
    return made.value
  }
}
