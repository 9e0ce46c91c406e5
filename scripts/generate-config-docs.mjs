// Writes config/gatehouse.schema.json and docs/configuration.md from the built schema: npm run build, then this.
import { errorReference } from '../dist/docs/error-reference.js'
import { mkdirSync, writeFileSync } from 'node:fs'
import { configJsonSchema } from '../dist/config/json-schema.js'
import { configReference } from '../dist/docs/config-reference.js'

const root = new URL('../', import.meta.url)
mkdirSync(new URL('docs/', root), { recursive: true })
writeFileSync(new URL('config/gatehouse.schema.json', root), `${JSON.stringify(configJsonSchema(), null, 2)}\n`)
writeFileSync(new URL('docs/configuration.md', root), configReference())
writeFileSync(new URL('../docs/errors.md', import.meta.url), errorReference())
