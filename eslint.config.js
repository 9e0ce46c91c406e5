import neostandard from 'neostandard'
import tseslint from 'typescript-eslint'

// cli -> commands -> app -> {http, entra, store, sync, config} -> core: what each folder may not import.
const FORBIDDEN = {
  core: ['http', 'entra', 'store', 'steps', 'sync', 'config', 'demo', 'netbox', 'tracing', 'init', 'commands', 'verify', 'app', 'server'],
  http: ['entra', 'store', 'steps', 'sync', 'config', 'demo', 'netbox', 'tracing', 'init', 'commands', 'app', 'server'],
  entra: ['http', 'store', 'steps', 'sync', 'config', 'demo', 'netbox', 'tracing', 'init', 'commands', 'app', 'server'],
  store: ['http', 'entra', 'steps', 'sync', 'config', 'demo', 'netbox', 'tracing', 'init', 'commands', 'app', 'server'],
  sync: ['http', 'entra', 'store', 'steps', 'config', 'demo', 'netbox', 'tracing', 'init', 'commands', 'app', 'server'],
  config: ['http', 'entra', 'store', 'steps', 'sync', 'demo', 'netbox', 'tracing', 'init', 'commands', 'app', 'server'],
  checks: ['http', 'store', 'steps', 'sync', 'demo', 'netbox', 'tracing', 'init', 'commands', 'app', 'server'],
  steps: ['http', 'entra', 'store', 'sync', 'config', 'demo', 'netbox', 'tracing', 'init', 'commands', 'app', 'server'],
  tracing: ['http', 'entra', 'store', 'steps', 'sync', 'config', 'demo', 'netbox', 'init', 'commands', 'app', 'server'],
  netbox: ['http', 'store', 'steps', 'sync', 'demo', 'tracing', 'init', 'commands', 'app', 'server'],
  init: ['http', 'entra', 'store', 'steps', 'sync', 'demo', 'netbox', 'checks', 'tracing', 'commands', 'verify', 'app', 'server'],
  verify: ['core', 'http', 'entra', 'store', 'steps', 'sync', 'config', 'demo', 'netbox', 'checks', 'tracing', 'init', 'commands', 'app', 'server'],
  demo: ['core', 'http', 'entra', 'store', 'steps', 'sync', 'config', 'tracing', 'init', 'commands', 'app', 'server'],
}
const PURE = { regex: '^(?!\\.{1,2}/)(?!node:crypto$)', message: 'core is pure: core and node:crypto only' }

const directions = Object.entries(FORBIDDEN).map(([folder, others]) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    '@typescript-eslint/no-restricted-imports': ['error', {
      patterns: [
        { regex: `^(\\.\\./)+(${others.join('|')})(/|\\.js$)`, message: `src/${folder} may not import this: docs/architecture.md, "Which way imports point"` },
        ...(folder === 'core' ? [PURE] : []),
      ],
    }],
  },
}))

export default [
  ...neostandard({ ts: true, ignores: ['dist', 'dist.*', '.tap', 'node_modules', 'coverage'] }),
  ...tseslint.configs.recommended.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    rules: {
      '@stylistic/space-before-function-paren': ['error', { anonymous: 'always', named: 'never', asyncArrow: 'always' }],
      '@stylistic/comma-dangle': 'off',
      '@stylistic/quote-props': 'off',
      '@stylistic/object-property-newline': 'off',
      '@stylistic/multiline-ternary': 'off',
      'promise/param-names': 'off',
    },
  },
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  ...directions,
  {
    // The simulated Entra and what it is tested with must not know the client code: otherwise both can be wrong together.
    files: ['test/demo/**/*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ regex: 'src/(core|entra)/', message: 'the simulator is tested without the client code' }] }] },
  },
]
