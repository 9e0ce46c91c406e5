import { readdirSync } from 'node:fs'
import stylistic from '@stylistic/eslint-plugin'
import neostandard from 'neostandard'
import tseslint from 'typescript-eslint'

// cli -> commands -> server -> app -> {http, entra, store, reevaluation, config} -> core: the folders of src that each
// folder may import, beside itself. A folder that is not named here may import nothing.
const ALLOWED = {
  core: [],
  admin: ['core'],
  net: ['core'],
  verify: [],
  http: ['core', 'net', 'admin'],
  entra: ['core'],
  store: ['core', 'net'],
  reevaluation: ['core'],
  config: ['core', 'net'],
  'custom-steps': ['core'],
  telemetry: ['core', 'config', 'net', 'reevaluation'],
  'audit-export': ['core', 'net'],
  docs: ['core', 'config', 'entra'],
  demo: [],
  checks: ['core', 'entra', 'config'],
  netbox: ['config', 'entra'],
  init: ['core', 'config'],
}
/** They put the parts together, as the files directly in src do: they may import every folder. */
const COMPOSITION = ['commands', 'workers']
/** Files at the top of src that every folder but `core` may import: they import nothing of src themselves. */
const LEAVES = ['lifecycle', 'recurring']
/** Folders below src may have folders of their own, so many levels deep. */
const DEPTH = 3

const MAP = 'docs/architecture.md, "Which way imports point"'
const PURE = { regex: '^(?!\\.{1,2}/)(?!node:crypto$)', message: 'core is pure: core and node:crypto only' }

const folders = readdirSync(new URL('src', import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !COMPOSITION.includes(entry.name))
  .map(({ name }) => name)

const directions = folders.flatMap((folder) =>
  Array.from({ length: DEPTH }, (_, level) => {
    const toSource = `^(?:\\.\\./){${level + 1}}`
    const leaves = folder === 'core' ? [] : LEAVES.map((name) => `(?!${name}\\.js$)`)
    const allowed = [...(ALLOWED[folder] ?? []).map((name) => `(?!${name}/)`), ...leaves].join('')
    return {
      files: [`src/${folder}/${'*/'.repeat(level)}*.ts`],
      rules: {
        '@typescript-eslint/no-restricted-imports': ['error', {
          patterns: [
            { regex: `${toSource}${allowed}`, message: `src/${folder} may not import this: ${MAP}` },
            ...(folder === 'core' ? [PURE] : []),
          ],
        }],
      },
    }
  })
)

export default [
  ...neostandard({ ts: true, noStyle: true, ignores: ['dist', 'dist.*', '.tap', 'node_modules', 'coverage'] }),
  ...tseslint.configs.recommended.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    rules: {
      'curly': ['error', 'multi-line'],
      'no-void': ['error', { allowAsStatement: true }], // marks a promise that is left to itself on purpose
      'promise/param-names': 'off',
    },
  },
  {
    files: ['src/**', 'test/**', 'bench/**', 'scripts/**', 'examples/**', '*.js', '*.ts'],
    plugins: { '@stylistic': stylistic },
    rules: {
      '@stylistic/max-len': ['error', {
        code: 120,
        ignoreUrls: true,
        ignoreRegExpLiterals: true,
      }],
    },
  },
  {
    files: ['src/**'],
    rules: { 'max-lines-per-function': ['error', { max: 50 }], 'no-nested-ternary': 'error' },
  },
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': ['error', {
        allowForKnownSafeCalls: [{ from: 'package', name: ['test', 'skip'], package: '@tapjs/test' }],
      }],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  ...directions,
  {
    // The simulated Entra and its tests must not know the client code: otherwise both can be wrong together.
    files: ['test/demo/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', {
        patterns: [{ regex: 'src/(core|entra)/', message: 'the simulator is tested without the client code' }],
      }],
    },
  },
]
