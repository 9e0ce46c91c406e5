// The types of `gatehouse/verify` and `gatehouse/step` in a consumer's project: test/types/ compiles there with the
// declarations alone, in every module resolution, and fails once a declaration is loosened.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const consumer = mkdtempSync(join(realpathSync(tmpdir()), 'gatehouse-types-'))
t.teardown(() => rmSync(consumer, { recursive: true, force: true }))
const installed = join(consumer, 'node_modules/gatehouse')

mkdirSync(installed, { recursive: true })
writeFileSync(join(consumer, 'package.json'), '{ "type": "module" }')
cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'))
for (const path of readdirSync(join(ROOT, 'dist'), { recursive: true, encoding: 'utf8' })) {
  if (path.endsWith('.d.ts')) cpSync(join(ROOT, 'dist', path), join(installed, 'dist', path))
}
cpSync(join(ROOT, 'test/types'), consumer, { recursive: true })

const TESTS = ['verify.test-d.ts', 'step.test-d.ts'].map((name) => join(consumer, name))
/** What each entry point may load. */
const DECLARATIONS = {
  'verify/verify.d.ts': ['verify/assertion-error.d.ts', 'verify/identity.d.ts'],
  'core/pipeline/step-module.d.ts': [
    'core/identity.d.ts',
    'core/mapping.d.ts',
    'core/pipeline/pipeline.d.ts',
    'core/user.d.ts',
  ],
} as const
const ENTRIES = Object.keys(DECLARATIONS)
/** What the package states for consumers alone; the claims and the plan are shapes of the gateway. */
const STATED = {
  'verify.test-d.ts': ['verify/verify.d.ts', ...DECLARATIONS['verify/verify.d.ts']],
  'step.test-d.ts': ['core/pipeline/step-module.d.ts'],
}

const STRICT: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts'],
  module: ts.ModuleKind.NodeNext,
  types: [],
}
const RESOLUTIONS: Readonly<Record<string, ts.CompilerOptions>> = {
  node16: { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 },
  nodenext: { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  bundler: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler },
}

/** Files of the compiler's library, which are the same for every program. */
const libraries = new Map<string, ts.SourceFile | undefined>()

/** @param changed texts by path, in place of what the file has */
function compile(
  files: readonly string[],
  options: ts.CompilerOptions = {},
  changed: ReadonlyMap<string, string> = new Map(),
): { readonly errors: readonly string[], readonly loaded: readonly string[], readonly program: ts.Program } {
  const all = { ...STRICT, ...options }
  const host = ts.createCompilerHost(all)
  const { getSourceFile } = host
  host.getCurrentDirectory = () => consumer
  host.getSourceFile = (path, version, ...rest) => {
    const text = changed.get(path)
    if (text !== undefined) return ts.createSourceFile(path, text, version)
    if (!path.includes('/typescript/lib/')) return getSourceFile(path, version, ...rest)
    if (!libraries.has(path)) libraries.set(path, getSourceFile(path, version, ...rest))
    return libraries.get(path)
  }
  const program = ts.createProgram(files, all, host)
  const errors = ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
    const place = file && `${relative(consumer, file.fileName)}:${file.getLineAndCharacterOfPosition(start).line + 1} `
    return `${place ?? ''}${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
  const loaded = program.getSourceFiles().map(({ fileName }) => fileName)
  return { errors, loaded: loaded.filter((path) => !path.includes('/typescript/lib/')), program }
}

for (const [name, options] of Object.entries(RESOLUTIONS)) {
  t.test(`the types compile with moduleResolution ${name}, also where libraries are checked`, async (t) => {
    const { errors, loaded } = compile(TESTS, options)
    t.strictSame(errors, [])
    t.ok(loaded.includes(join(installed, 'dist/verify/verify.d.ts')))
    t.ok(loaded.includes(join(installed, 'dist/core/pipeline/step-module.d.ts')))
  })
}

for (const [entry, reached] of Object.entries(DECLARATIONS)) {
  t.test(`${entry} loads few declarations, and those of no other package`, async (t) => {
    const { errors, loaded } = compile([join(installed, 'dist', entry)])
    t.strictSame(errors, [])
    t.strictSame(loaded.map((path) => relative(join(installed, 'dist'), path)).sort(), [entry, ...reached].sort())
  })
}

t.test('every exported name is described, and its example compiles', async (t) => {
  const { program } = compile(ENTRIES.map((entry) => join(installed, 'dist', entry)))
  const examples = ENTRIES.flatMap((entry) => exportsOf(program, entry))
  t.strictSame(examples.map(({ name }) => name).sort(), [
    'AssertionError',
    'CustomStep',
    'CustomStepAnswer',
    'CustomStepDetails',
    'CustomStepInput',
    'Identity',
    'Verifier',
    'VerifierOptions',
    'createVerifier',
  ])
  for (const { name, description } of examples) t.ok(description.length > 20, `${name} is described`)
  const paths = examples.map(({ name, example }) => {
    const path = join(consumer, `example-${name}.ts`)
    writeFileSync(path, example)
    t.ok(example.includes('import ') && example.includes(name), `${name} has an example`)
    return path
  })
  t.strictSame(compile(paths).errors, [])
})

t.test('the type tests fail for every type of a declaration that is loosened', async (t) => {
  let count = 0
  for (const [test, files] of Object.entries(STATED)) {
    for (const path of files.map((file) => join(installed, 'dist', file))) {
      for (const { what, text } of loosened(readFileSync(path, 'utf8'))) {
        const { errors } = compile([join(consumer, test)], { skipLibCheck: true }, new Map([[path, text]]))
        t.ok(errors.some((error) => error.startsWith(test)), `${relative(installed, path)}: ${what}`)
        count++
      }
    }
  }
  t.ok(count > 50, `${count} loosened declarations`)
})

interface Documented {
  readonly name: string
  readonly description: string
  /** The code of its `@example`. */
  readonly example: string
}

function exportsOf(program: ts.Program, entry: string): readonly Documented[] {
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(join(installed, 'dist', entry))
  const module = file && checker.getSymbolAtLocation(file)
  if (!module) return []
  return checker.getExportsOfModule(module).map((exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
    const tag = symbol.getJsDocTags(checker).find(({ name }) => name === 'example')
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(ts.displayPartsToString(tag?.text)) ?? []
    return {
      name: exported.name,
      description: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
      example,
    }
  })
}

/** The declarations with one type made `any`, or with one `readonly` left out, once for each that there is. */
function loosened(text: string): readonly { readonly what: string, readonly text: string }[] {
  const file = ts.createSourceFile('loosened.d.ts', text, ts.ScriptTarget.Latest, true)
  const found: { what: string, text: string }[] = []
  const replace = (node: ts.Node, by: string): void => {
    const line = file.getLineAndCharacterOfPosition(node.getStart()).line + 1
    const what = `line ${line}, ${by || 'nothing'} in place of ${node.getText()}`
    found.push({ what, text: text.slice(0, node.getStart()) + by + text.slice(node.getEnd()) })
  }
  const visit = (node: ts.Node): void => {
    const typed = ts.isPropertySignature(node) || ts.isPropertyDeclaration(node) || ts.isParameter(node) ||
      ts.isMethodSignature(node) || ts.isFunctionDeclaration(node) || ts.isTypeAliasDeclaration(node)
    if (typed && node.type) replace(node.type, 'any')
    if (node.kind === ts.SyntaxKind.ReadonlyKeyword) replace(node, '')
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}
