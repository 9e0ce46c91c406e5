import importX from 'eslint-plugin-import-x'
import neostandard from 'neostandard'
import tseslint from 'typescript-eslint'

// cli -> commands -> app -> {http, entra, store, sync, config} -> core: what each folder may not reach.
const layers = {
  core: ['http', 'entra', 'store', 'sync', 'config', 'demo', 'commands', 'verify', 'app.ts', 'server.ts'],
  http: ['entra', 'store', 'sync', 'demo', 'commands', 'app.ts', 'server.ts'],
  entra: ['http', 'store', 'sync', 'demo', 'commands', 'app.ts', 'server.ts'],
  store: ['http', 'entra', 'sync', 'demo', 'commands', 'app.ts', 'server.ts'],
  config: ['http', 'entra', 'store', 'sync', 'demo', 'commands', 'app.ts', 'server.ts'],
  demo: ['core', 'http', 'entra', 'store', 'sync', 'config', 'commands', 'app.ts', 'server.ts'],
}
const zones = Object.entries(layers).flatMap(([target, others]) => others.map((from) => ({
  target: `./src/${target}`, from: `./src/${from}`, message: `src/${target} may not import src/${from} (docs/architecture.md, "Which way imports point")`,
})))

export default [
  ...neostandard({ ts: true, ignores: ['dist', '.tap', 'node_modules', 'coverage'] }),
  ...tseslint.configs.recommended.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver': { typescript: true, node: true } },
    rules: {
      '@stylistic/space-before-function-paren': ['error', { anonymous: 'always', named: 'never', asyncArrow: 'always' }],
      '@stylistic/comma-dangle': 'off',
      '@stylistic/quote-props': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'import-x/no-restricted-paths': ['error', { zones }],
      'max-lines': ['error', { max: 260, skipBlankLines: true, skipComments: true }],
    },
  },
  { files: ['src/core/**/*.ts'], rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ regex: '^(?!\\.{1,2}/)(?!node:crypto$)', message: 'core is pure: core and node:crypto only' }] }] } },
  { files: ['test/**/*.ts', 'bench/**/*.ts'], rules: { 'max-lines': 'off' } },
]
