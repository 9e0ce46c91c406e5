// Writes docs/openapi.json and docs/api.md from the built endpoints: npm run build, then this.
import { writeFileSync } from 'node:fs'
import { apiReference } from '../dist/docs/api-reference.js'
import { apiDocument } from '../dist/http/admin/api/api-document.js'

const root = new URL('../', import.meta.url)
const document = await apiDocument()
writeFileSync(new URL('docs/openapi.json', root), `${JSON.stringify(document, null, 2)}\n`)
writeFileSync(new URL('docs/api.md', root), apiReference(document))
