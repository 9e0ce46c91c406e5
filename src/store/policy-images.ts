// Images that were uploaded for policies of the database (core/policy-image.ts). A row is added, and never changed.
import { sql } from 'drizzle-orm'
import { PAGE_ROWS, pageOf } from '../core/page.js'
import {
  MOST_IMAGES,
  type ImagesUnit,
  type ImageSummary,
  type NamedImage,
  type NewImage,
  type PolicyImages,
  type UploadedImage,
} from '../core/policy-image.js'
import { actorName } from './actor-name.js'
import type { Database, Transaction } from './database.js'

type Row<T> = T & Record<string, unknown>

const SUMMARY = sql`i.name, i.type, i.sha256, length(i.content) as size, i.author,
  ${actorName('i.author')} as "authorName",
  to_json(i.at) #>> '{}' as at`

export function createPolicyImages(database: Database): PolicyImages {
  return {
    async list({ after = '', limit = PAGE_ROWS }) {
      const { rows } = await database.ask((db) =>
        db.execute<Row<ImageSummary>>(sql`select ${SUMMARY} from policy_images i
          where i.name collate "C" > ${after} order by i.name collate "C" limit ${limit + 1}`)
      )
      return pageOf(rows, limit, ({ name }) => name)
    },
    async get(name) {
      const { rows: [image] } = await database.ask((db) =>
        db.execute<Row<UploadedImage>>(sql`select ${SUMMARY}, i.content from policy_images i where i.name = ${name}`)
      )
      return image
    },
    async namedIn(text) {
      const { rows } = await database.ask((db) =>
        db.execute<Row<Omit<NamedImage, 'content'> & { readonly content: Buffer }>>(sql`
          select i.name, i.type, i.sha256, i.content from policy_images i where strpos(${text}, i.name) > 0`)
      )
      return rows.map(({ content, ...image }) => ({ ...image, content: () => content }))
    },
  }
}

export function imagesUnit(tx: Transaction): ImagesUnit {
  return {
    async sha256Of(name) {
      await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('gatehouse policy images', 0))`)
      const { rows: [image] } = await tx.execute<{ sha256: string }>(
        sql`select sha256 from policy_images where name = ${name}`,
      )
      return image?.sha256
    },
    async add(image) {
      const { rows: [count] } = await tx.execute<{ full: boolean }>(
        sql`select count(*) >= ${MOST_IMAGES} as full from policy_images`,
      )
      if (count?.full === true) return false // guard: policy-images-bounded
      await addImages(tx, [image])
      return true
    },
  }
}

/** Those whose names are there already are left as they are. */
export async function addImages(tx: Transaction, images: readonly NewImage[]): Promise<void> {
  for (const { name, type, sha256, content, author } of images) {
    await tx.execute(sql`insert into policy_images (name, type, sha256, content, author)
      values (${name}, ${type}, ${sha256}, ${content}, ${author}) on conflict do nothing`)
  }
}
