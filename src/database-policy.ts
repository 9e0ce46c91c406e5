// Loads policies of the database, with the images that were uploaded for them.
import type { Config } from './config/config.js'
import { createLoadingThread } from './config/loading-thread.js'
import type { LoadedPolicy } from './config/policy-document.js'
import type { ImageFile } from './config/images.js'
import type { PolicyImages } from './core/policy-image.js'
import type { Database } from './store/database.js'
import { createPolicyImages } from './store/policy-images.js'

/**
 * @param file the configuration file, beside which it runs
 * @param name how problems name the text
 * @throws ConfigError with every problem of the text, in its order
 */
export type LoadDatabasePolicy = (text: string, file: Config, name: string) => Promise<LoadedPolicy>

export function databasePolicyLoader(database: Database): LoadDatabasePolicy {
  const images = createPolicyImages(database)
  const thread = createLoadingThread()
  return async (text, file, name) =>
    // such a policy sees no variable of the environment
    await thread.loadPolicy(text, file, { name, env: {}, uploaded: await imagesNamedIn(text, images) })
}

export async function imagesNamedIn(
  text: string,
  images: Pick<PolicyImages, 'namedIn'>,
): Promise<readonly ImageFile[]> {
  return (await images.namedIn(text)).map(({ name, ...image }) => ({ ...image, path: name }))
}
