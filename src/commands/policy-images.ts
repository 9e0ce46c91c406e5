// `gatehouse policy images|add-image|export-image`: images that policies in the database name.
import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { createPolicyImagesAdmin } from '../admin/policy-images.js'
import { allPages } from '../core/page.js'
import type { ImageSummary } from '../core/policy-image.js'
import { createPolicyImages } from '../store/policy-images.js'
import { cliActing, EXIT, print, printJson, printTable, withDatabase, type CommonOptions } from './context.js'
import { readBinaryFile } from './text-file.js'

const FILE_ALONE = { needs: 'file' } as const

export async function policyImages(options: CommonOptions): Promise<number> {
  const images = await withDatabase(options, async ({ database }) => {
    const admin = createPolicyImagesAdmin(createPolicyImages(database))
    const all: ImageSummary[] = []
    for await (const rows of allPages<ImageSummary, string>((after) => admin.list({ after }))) all.push(...rows)
    return all
  }, FILE_ALONE)
  if (options.json) printJson(images)
  else {
    printTable(
      ['NAME', 'TYPE', 'BYTES', 'UPLOADED', 'BY'],
      images.map(({ name, type, size, at, author, authorName }) => [
        name,
        type,
        String(size),
        new Date(at).toISOString().slice(0, 19),
        authorName ?? author,
      ]),
      'No image was uploaded: gatehouse policy add-image FILE',
    )
  }
  return EXIT.ok
}

/** @throws GatehouseError `file_unreadable`, and as the act */
export async function policyAddImage(
  file: string,
  options: CommonOptions & { readonly name?: string },
): Promise<number> {
  const content = readBinaryFile(file)
  const { name = basename(file) } = options
  const added = await withDatabase(options, ({ acts }) => acts.images.add(name, content, cliActing()), FILE_ALONE)
  if (options.json) printJson(added)
  else print(added.changed ? `The image ${name} is uploaded.` : `The image ${name} was uploaded already.`)
  return EXIT.ok
}

/** @throws GatehouseError `policy_image_unknown` */
export async function policyExportImage(name: string, file: string, options: CommonOptions): Promise<number> {
  const { content, ...image } = await withDatabase(
    options,
    ({ database }) => createPolicyImagesAdmin(createPolicyImages(database)).get(name),
    FILE_ALONE,
  )
  writeFileSync(file, content)
  if (options.json) printJson(image)
  else print(`${file} has the image ${name} (${image.size} bytes).`)
  return EXIT.ok
}
